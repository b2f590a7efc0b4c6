#!/bin/sh
# Makes the secrets of compose.production.yml in deploy/secrets; what is there already stays as it is.
# secret_key encrypts what the database holds: keep a copy of it apart from the backups.
set -eu

directory="$(dirname "$0")/secrets"
mkdir -p "$directory"
# Only the owner may enter; the files themselves are mounted into containers whose users have other numbers.
chmod 700 "$directory"

keep() {
    if [ ! -s "$directory/$1" ]; then
        cat > "$directory/$1"
        chmod 444 "$directory/$1"
        echo "made $directory/$1"
    fi
}

random() { head -c 32 /dev/urandom | od -A n -t x1 | tr -d ' \n'; }

random | keep secret_key
random | keep redis_password
random | keep mongo_root_password
random | keep mongo_app_password
head -c 512 /dev/urandom | base64 | tr -d '\n' | keep mongo_keyfile

mongo_password="$(cat "$directory/mongo_app_password")"
members="mongo-1:27017,mongo-2:27017,mongo-3:27017"
echo "mongodb://webhookcron:$mongo_password@$members/webhookcron?replicaSet=rs0" | keep mongodb_uri
echo "redis://:$(cat "$directory/redis_password")@redis:6379/0" | keep redis_url
