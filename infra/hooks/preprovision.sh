#!/bin/sh
# Before anything is made: is all known that cannot be guessed, and may the subscription hold what is asked for?
set -eu

if [ -z "${DATAVERSE_URL:-}" ]; then
    if [ ! -t 0 ]; then
        echo "DATAVERSE_URL is not set. Say: azd env set DATAVERSE_URL https://NAME.crm.dynamics.com" >&2
        exit 1
    fi
    printf 'Dynamics organisation (https://NAME.crm.dynamics.com): '
    read -r DATAVERSE_URL
    azd env set DATAVERSE_URL "$DATAVERSE_URL"
fi

case "$DATAVERSE_URL" in
https://*) ;;
*)
    echo "DATAVERSE_URL must begin with https://. Say: azd env set DATAVERSE_URL https://NAME.crm.dynamics.com" >&2
    exit 1
    ;;
esac

# The subnet of the app is delegated to this provider, and a subscription does not know it by itself.
if [ "${PRIVATE_NETWORKING:-false}" = true ]; then
    az provider register --namespace Microsoft.App --wait
fi
