#!/bin/sh
# Puts the content of each file named by NAME_FILE into NAME, then becomes the given command.
# Only these names: whatever else ends in _FILE belongs to the command.
set -eu

for name in DATABASE_URL PGPASSWORD REDIS_URL REDIS_PASSWORD FLOWER_BASIC_AUTH; do
  eval "file=\${${name}_FILE-} given=\${${name}-}"
  [ -n "$file" ] || continue
  if [ -n "$given" ]; then
    echo "docker-entrypoint: give $name or ${name}_FILE, not both" >&2
    exit 64
  fi
  if ! value=$(cat -- "$file") || [ -z "$value" ]; then
    echo "docker-entrypoint: ${name}_FILE: $file cannot be read or is empty" >&2
    exit 66
  fi
  export "$name=$value"
  unset "${name}_FILE"
done

exec "$@"
