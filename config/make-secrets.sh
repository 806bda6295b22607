#!/bin/sh
# Makes the secrets that docker-compose.yml reads, in the folder given (default .secrets); keeps those that are there.
#
# The folder lets nobody but its owner in. The files themselves are readable: compose mounts each as it is into the
# containers that name it, where another user than the owner of the folder has to read it.
set -eu

folder=${1:-.secrets}
mkdir -p -- "$folder"
chmod 700 -- "$folder"

random() {
  od -An -N 32 -tx1 /dev/urandom | tr -d ' \n'
}

keep_or_write() {
  if [ ! -s "$folder/$1" ]; then
    printf '%s' "$2" > "$folder/$1"
  fi
  chmod 444 -- "$folder/$1"
}

keep_or_write redis_password "$(random)"
keep_or_write postgres_password "$(random)"
keep_or_write database_password "$(random)"
keep_or_write api_key "ork_$(random | cut -c 1-8)_$(random)"
keep_or_write flower_basic_auth "admin:$(random)"
