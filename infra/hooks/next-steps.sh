#!/bin/sh
# After a deployment: what only a person with rights in Dynamics and Outreach can do.
set -eu

cat <<TEXT

The app is deployed. The first time, three steps are left (infra/README.md has them in full):

1. Dynamics: Power Platform admin center > the environment > Settings > Users + permissions > Application users >
   New app user. Application (client) id: ${IDENTITY_CLIENT_ID:?is an output of main.bicep}
   Give it a security role with the privileges in infra/README.md.
2. Outreach: register the webhook with this address, and the function key added to it:
   ${WEBHOOK_URL:?is an output of main.bicep}?code=KEY
   KEY:    az functionapp function keys list -g ${AZURE_RESOURCE_GROUP:?} -n ${FUNCTION_APP_NAME:?} --function-name ingest --query default -o tsv
   secret: the value of outreach-webhook-secret in the vault ${KEY_VAULT_NAME:?}
3. Look: ${WEBHOOK_URL%/outreach/events}/health
TEXT
