using 'main.bicep'

// Read from the environment: `azd env set NAME value` before `azd up`, or `export NAME=value` before `az deployment`.

import { plainDefaults } from 'modules/settings.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')

param settings = {
  DATAVERSE_URL: readEnvironmentVariable('DATAVERSE_URL')
  SYNC_QUEUE_NAME: readEnvironmentVariable('SYNC_QUEUE_NAME', plainDefaults.SYNC_QUEUE_NAME)
  OUTREACH_API_URL: readEnvironmentVariable('OUTREACH_API_URL', plainDefaults.OUTREACH_API_URL)
  OUTREACH_ORG_ID: readEnvironmentVariable('OUTREACH_ORG_ID', plainDefaults.OUTREACH_ORG_ID)
  OUTREACH_REDIRECT_URI: readEnvironmentVariable('OUTREACH_REDIRECT_URI', plainDefaults.OUTREACH_REDIRECT_URI)
  SYNC_PUSHING: readEnvironmentVariable('SYNC_PUSHING', plainDefaults.SYNC_PUSHING)
  SYNC_OUTBOUND_CREATE: readEnvironmentVariable('SYNC_OUTBOUND_CREATE', plainDefaults.SYNC_OUTBOUND_CREATE)
  SYNC_OUTBOUND_UPDATE: readEnvironmentVariable('SYNC_OUTBOUND_UPDATE', plainDefaults.SYNC_OUTBOUND_UPDATE)
  SYNC_ON_CANCEL: readEnvironmentVariable('SYNC_ON_CANCEL', plainDefaults.SYNC_ON_CANCEL)
  SYNC_ON_COMPLETE: readEnvironmentVariable('SYNC_ON_COMPLETE', plainDefaults.SYNC_ON_COMPLETE)
  SYNC_ALL_DAY_TIME_ZONE: readEnvironmentVariable('SYNC_ALL_DAY_TIME_ZONE', plainDefaults.SYNC_ALL_DAY_TIME_ZONE)
  MAPPING_FILE: readEnvironmentVariable('MAPPING_FILE', plainDefaults.MAPPING_FILE)
  SYNC_RETENTION_DAYS: readEnvironmentVariable('SYNC_RETENTION_DAYS', plainDefaults.SYNC_RETENTION_DAYS)
  SYNC_MEETING_RETENTION_DAYS: readEnvironmentVariable('SYNC_MEETING_RETENTION_DAYS', plainDefaults.SYNC_MEETING_RETENTION_DAYS)
  SYNC_SUBSCRIPTION_GUARD: readEnvironmentVariable('SYNC_SUBSCRIPTION_GUARD', plainDefaults.SYNC_SUBSCRIPTION_GUARD)
  PUBLIC_URL: readEnvironmentVariable('PUBLIC_URL', plainDefaults.PUBLIC_URL)
}
param credentials = readEnvironmentVariable('OUTREACH_CREDENTIALS', 's2s')
param previousWebhookSecretVersion = readEnvironmentVariable('PREVIOUS_WEBHOOK_SECRET_VERSION', '')

param maximumInstanceCount = int(readEnvironmentVariable('MAXIMUM_INSTANCE_COUNT', '4'))
param alwaysReadyHttp = int(readEnvironmentVariable('ALWAYS_READY_HTTP', '1'))

param alertEmails = readEnvironmentVariable('ALERT_EMAILS', '')
param lagLimitMinutes = int(readEnvironmentVariable('LAG_LIMIT_MINUTES', '10'))
param queueLimit = int(readEnvironmentVariable('QUEUE_LIMIT', '500'))
param workingZone = readEnvironmentVariable('WORKING_ZONE', 'UTC')
param workingFrom = int(readEnvironmentVariable('WORKING_FROM', '9'))
param workingTo = int(readEnvironmentVariable('WORKING_TO', '17'))
param runbookUrl = readEnvironmentVariable('RUNBOOK_URL', 'docs/runbook.md')

param privateNetworking = bool(readEnvironmentVariable('PRIVATE_NETWORKING', 'false'))
param zoneRedundant = bool(readEnvironmentVariable('ZONE_REDUNDANT', 'false'))
param locked = bool(readEnvironmentVariable('LOCKED', 'false'))
