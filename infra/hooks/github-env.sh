#!/bin/sh
# Hands a JSON object from standard input to the steps of a workflow that follow, as environment variables. A value may
# have any number of lines: each ends at a random word that nobody could have written into it, so that it cannot set a
# second variable. Names are those of our settings and outputs, so that no variable of a repository sets PATH or BASH_ENV.
#
#   infra/hooks/github-env.sh < variables.json    {"NAME": "value"}
set -eu

parameters=$(dirname "$0")/../main.bicepparam
outputs=$(dirname "$0")/../main.bicep
names=$(sed -n "s/.*readEnvironmentVariable('\([A-Z0-9_]*\)'.*/\1/p" "$parameters"; sed -n 's/^output \([A-Z0-9_]*\) .*/\1/p' "$outputs")
stop=$(od -An -v -tx1 -N16 /dev/urandom | tr -d ' \n')

# https://docs.github.com/actions/reference/workflow-commands-for-github-actions#multiline-strings
jq -r --arg names "$names" --arg stop "$stop" '
    ($names | split("\n")) as $known
    | to_entries[]
    | select((.key | IN($known[])) or (.key | test("\\A(AZURE|DATAVERSE|OUTREACH|SYNC)_[A-Z0-9_]+\\z")))
    | "\(.key)<<\($stop)\n\(.value)\n\($stop)"' >> "$GITHUB_ENV"
