#!/bin/sh
# Run by the container of PostgreSQL when its volume is empty
set -eu
psql --username "$POSTGRES_USER" --dbname postgres --set=ON_ERROR_STOP=1 --set=password="$GALENIC_DATABASE_PASSWORD" \
    --file=/deploy/create-database.sql
