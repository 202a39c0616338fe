#!/bin/sh
# Puts every secret into the vault that the app refers to and that is not there yet; what is there stays as it is.
# A value comes from the environment variable of the setting's name, else from a question; @FILE stands for the content
# of a file. The webhook secret and the key that seals tokens are made up where there are none. Values go through Azure Resource Manager: who may deploy
# may do this, also where the vault has no public door.
#
#   infra/hooks/secrets.sh                          what is missing (azd runs this after `azd provision`)
#   infra/hooks/secrets.sh OUTREACH_CLIENT_SECRET   a new value for one setting
set -eu

for output in AZURE_RESOURCE_GROUP KEY_VAULT_NAME FUNCTION_APP_NAME VAULT_SETTINGS; do
    eval "[ -n \"\${$output:-}\" ]" || { echo "$output is not set. It is an output of main.bicep." >&2; exit 1; }
done
here=$(dirname "$0")

resource_id() { # TYPE NAME
    az resource show --resource-group "$AZURE_RESOURCE_GROUP" --resource-type "$1" --name "$2" --query id --output tsv
}

name_of() { # SETTING, as secret.bicep and modules/settings.bicep name it
    printf '%s' "$1" | tr 'A-Z_' 'a-z-'
}

ask() { # SETTING; nothing is shown while it is typed
    if [ ! -t 0 ]; then
        echo "$1 is not in the vault. Put its value into the environment variable $1 and run $0 again." >&2
        exit 1
    fi
    printf '%s (or @FILE): ' "$1" >&2
    stty -echo
    trap 'stty echo' EXIT
    read -r answer
    stty echo
    trap - EXIT
    echo >&2
    printf '%s' "$answer"
}

put() { # SETTING
    eval "value=\${$1:-}"
    if [ -z "$value" ] && [ "$1" = OUTREACH_WEBHOOK_SECRET ]; then
        value=$(od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n')
    fi
    if [ -z "$value" ] && [ "$1" = SYNC_TOKEN_KEY ]; then
        value=$(head -c 32 /dev/urandom | base64 | tr -d '\n')
    fi
    [ -n "$value" ] || value=$(ask "$1")
    case "$value" in
    @*) value=$(cat "${value#@}") ;;
    esac
    [ -n "$value" ] || { echo "$1 must not be empty." >&2; exit 1; }
    # The app takes no shorter one for a secret, because it could be guessed.
    if [ "$1" = OUTREACH_WEBHOOK_SECRET ] && [ "${#value}" -lt 16 ]; then
        echo "$1 must have at least 16 characters. Leave it empty, and one is made up." >&2
        exit 1
    fi
    # In the environment, because arguments can be read in the list of processes.
    SECRET_SETTING=$1 SECRET_VALUE=$value az deployment group create --resource-group "$AZURE_RESOURCE_GROUP" \
        --name "secret-$(name_of "$1")" --parameters "$here/../secret.bicepparam" --output none
    echo "$1 is in the vault $KEY_VAULT_NAME."
}

vault=$(resource_id Microsoft.KeyVault/vaults "$KEY_VAULT_NAME")
app=$(resource_id Microsoft.Web/sites "$FUNCTION_APP_NAME")

if [ $# -gt 0 ]; then
    missing=$*
else
    # A list, because asking for one secret cannot tell "not there" from "not allowed"; and a made-up webhook secret
    # over the real one would turn every event away.
    present=$(az rest --method get --url "$vault/secrets?api-version=2025-05-01" --query 'value[].name' --output tsv)
    missing=
    for setting in $VAULT_SETTINGS; do
        printf '%s\n' "$present" | tr -d '\r' | grep -qx "$(name_of "$setting")" || missing="$missing $setting"
    done
fi

for setting in $missing; do
    put "$setting"
done

# The platform reads the vault once a day by itself.
if [ -n "$missing" ]; then
    az rest --method post --url "$app/config/configreferences/appsettings/refresh?api-version=2022-03-01" --output none
fi
