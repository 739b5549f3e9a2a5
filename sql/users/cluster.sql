-- On a cluster, besides: statements for all servers, and tables that reach other servers.
GRANT <on>CLUSTER ON *.* TO <migrator>;

GRANT <on>REMOTE ON *.* TO <migrator>;
