#!/bin/sh
# Makes the users of sql/users at a ClickHouse server, with the passwords that are files of SECRETS, and gives them what
# they may do; again at each start, so that a new version's rights and changed passwords hold. Run by docker-compose.yml
# in an image that has clickhouse-client, as an administrator: CLICKHOUSE_HOST and CLICKHOUSE_USER say where and who.
#
#   SECRETS/clickhouse_admin clickhouse_migrator clickhouse_writer clickhouse_reader     one line each
#   SQL/migrator.sql writer.sql reader.sql                                               of sql/users
set -eu
SECRETS=${SECRETS:-/run/secrets}
SQL=${SQL:-/sql/users}
DATABASE=${DATABASE:-bailiwick}

password() {
  # What a line feed at its end would make of it is nobody's password.
  line=$(cat "$SECRETS/clickhouse_$1")
  if [ -z "$line" ]; then
    echo "$SECRETS/clickhouse_$1: is empty, and should hold the password" >&2
    exit 2
  fi
  printf %s "$line"
}

CLICKHOUSE_PASSWORD=$(password admin)
export CLICKHOUSE_PASSWORD
statements=$(
  for user in migrator writer reader; do
    secret=$(password "$user")
    hash=$(printf %s "$secret" | sha256sum | cut -d ' ' -f 1)
    sed -e '/^--/d' -e "s/<$user>/bailiwick_$user/g" -e 's/<on>//g' -e "s/<database>/$DATABASE/g" \
      -e "s/<password>/$hash/g" "$SQL/$user.sql"
    echo "ALTER USER bailiwick_$user IDENTIFIED WITH sha256_hash BY '$hash';"
  done
)
# All of them, or the error of the first.
printf '%s\n' "$statements" | clickhouse-client --multiquery
