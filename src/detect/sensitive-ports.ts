// Services that hold data or give control of a machine. Reaching one that was not declared weighs more, and so
// does a protocol that sends everything in the clear. Port numbers: IANA, and the defaults of the products.

const SENSITIVE: Record<number, string> = {
  22: 'ssh',
  23: 'telnet',
  88: 'kerberos',
  135: 'msrpc',
  139: 'netbios',
  389: 'ldap',
  445: 'smb',
  636: 'ldaps',
  1433: 'sql server',
  1521: 'oracle',
  2049: 'nfs',
  2375: 'docker',
  2376: 'docker',
  2379: 'etcd',
  3268: 'active directory',
  3306: 'mysql',
  3389: 'remote desktop',
  5432: 'postgresql',
  5900: 'vnc',
  5984: 'couchdb',
  5985: 'winrm',
  5986: 'winrm',
  6379: 'redis',
  6443: 'kubernetes api',
  8086: 'influxdb',
  8200: 'vault',
  8500: 'consul',
  9000: 'clickhouse',
  9042: 'cassandra',
  9092: 'kafka',
  9200: 'elasticsearch',
  10250: 'kubelet',
  11211: 'memcached',
  27017: 'mongodb',
  50000: 'db2',
}

const PLAIN_TEXT: Record<number, string> = {
  20: 'ftp',
  21: 'ftp',
  23: 'telnet',
  25: 'smtp',
  80: 'http',
  110: 'pop3',
  143: 'imap',
  513: 'rlogin',
  514: 'rsh',
  1883: 'mqtt',
  8080: 'http',
}

/** The database or admin service that usually listens on this TCP or UDP port, or ''. */
export function sensitiveService(port: number): string {
  return SENSITIVE[port] ?? ''
}

/** The unencrypted protocol that usually runs on this TCP port, or ''. */
export function plainTextService(port: number): string {
  return PLAIN_TEXT[port] ?? ''
}
