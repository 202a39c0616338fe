using '../main.bicep'

// Everything on: private endpoints, three zones, locks, a log line for every access to storage, a warm instance for the
// queue too, and logs for a year.

param environmentName = 'production'
param tags = { owner: 'sales-operations', 'data-classification': 'confidential' }
param settings = {
  DATAVERSE_URL: 'https://contoso.crm.dynamics.com'
  SYNC_ON_CANCEL: 'cancel'
  SYNC_ALL_DAY_TIME_ZONE: 'Europe/Berlin'
}

param alwaysReadyHttp = 2
param alwaysReadySync = 2
param zoneRedundant = true

param privateNetworking = true
param networkAddressPrefix = '10.80.0.0/26'
param locked = true
param auditStorageAccess = true
param logRetentionInDays = 365
param logDailyCapGb = 5
