#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Entry point of the agent's container: agent.sh CONFIG SOCKET FOLDER...
# Empty volumes come writable for everybody; here they become what the agent expects.
set -eu
[ $# -ge 2 ] || { echo "usage: agent.sh CONFIG SOCKET FOLDER..." >&2; exit 2; }
config=$1 socket=$2
shift 2
umask 027
chmod 0755 "$(dirname "$socket")"
for folder; do
	mkdir -p "$folder"
	chmod 0700 "$folder"
done
exec "${VOUCHSAFE_AGENT-/usr/libexec/vouchsafe-agent}" --config "$config" --socket "$socket"
