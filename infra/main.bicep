metadata description = 'Mirrors Outreach meetings into Dynamics 365: everything that runs in Azure. Sizes, costs and choices are explained in README.md.'

import { plainSettings, plainDefaults, credentialKind, credentialSettings, vaultReference, vaultReferences } from 'modules/settings.bicep'

targetScope = 'resourceGroup'

// ---- What it is called and where it is ------------------------------------------------------------------------------

@minLength(1)
@maxLength(64)
@description('Tells several installations apart. With the resource group it makes every name, so it must not change.')
param environmentName string

param location string = resourceGroup().location

@description('Put on every resource, beside azd-env-name.')
param tags object = {}

// ---- What it does ---------------------------------------------------------------------------------------------------

@description('The settings of the app by their own names; only DATAVERSE_URL must be given.')
param settings plainSettings

@description('How the app proves to Outreach who it is: S2S (best), OAuth, or an access token (development).')
param credentials credentialKind = 's2s'

@description('While the webhook secret is rotated: the version in the vault that is accepted too; empty for none.')
param previousWebhookSecretVersion string = ''

// ---- How big it is --------------------------------------------------------------------------------------------------

@allowed(['3.11', '3.12', '3.13', '3.14'])
@description('The demo was run on each of these; all tests on 3.11.')
param pythonVersion string = '3.11'

@allowed([512, 2048, 4096])
param instanceMemoryMB int = 512

@minValue(1)
@maxValue(1000)
@description('Instances of each scale group at most. Times the queue concurrency in host.json this stays below Dataverse\'s 52 concurrent requests; see README.md, "Sizes", before you raise it.')
param maximumInstanceCount int = 4

@minValue(64)
@maxValue(1000)
@description('Requests that one instance takes in at a time. While storage is away up to 50 of them wait for it, and the console and health must answer all the same.')
param httpConcurrency int = 64

@minValue(0)
@description('Instances that are always warm for HTTP: Outreach hangs up after 5 seconds, a cold start can take longer.')
param alwaysReadyHttp int = 1

@minValue(0)
@description('Instances that are always warm for the queue: 0 saves money, 1 saves seconds after a quiet time.')
param alwaysReadySync int = 0

@minValue(30)
@maxValue(730)
param logRetentionInDays int = 30

@description('Share of the events whose calls are traced one by one, 0.0 to 1.0. Log lines and metrics are always complete.')
param tracedShare string = '1.0'

@minValue(-1)
@description('Logs beyond this many GB a day are dropped; -1 for no limit.')
param logDailyCapGb int = 1

// ---- Who hears of it ------------------------------------------------------------------------------------------------

@description('Who gets the alerts, separated by commas; nobody: they only show in the portal.')
param alertEmails string = ''

@minValue(1)
@description('Minutes after which an event that the app has and Dynamics has not is late.')
param lagLimitMinutes int = 10

@minValue(1)
@description('So many waiting events are too many, if they become more.')
param queueLimit int = 500

@description('IANA zone of the hours below, Monday to Friday, in which something from Outreach is expected.')
param workingZone string = 'UTC'

@minValue(0)
@maxValue(20)
param workingFrom int = 9

@minValue(4)
@maxValue(24)
@description('At least 4 hours after the first: silence is reported after 3.')
param workingTo int = 17

@description('Where people of yours read docs/runbook.md; each alert links to its part of it.')
param runbookUrl string = 'docs/runbook.md'

// ---- How hard it is to harm -----------------------------------------------------------------------------------------

@description('Storage and vault reachable through private endpoints in a network of the app\'s own, and no other way.')
param privateNetworking bool = false

@description('At least a /26, half of it for each subnet. Only read with private networking.')
param networkAddressPrefix string = '10.80.0.0/26'

@description('Instances, queues and tables spread over zones. Choose it at the start: storage cannot be switched by deploying again.')
param zoneRedundant bool = false

@description('Nobody can delete storage and vault before they have removed the lock.')
param locked bool = false

@description('Log every access to storage: about 10 GB of logs per million events.')
param auditStorageAccess bool = false

// ---------------------------------------------------------------------------------------------------------------------

var token = uniqueString(resourceGroup().id, environmentName)
var allTags = union(tags, { 'azd-env-name': environmentName })

var secretSettings = ['OUTREACH_WEBHOOK_SECRET', 'SYNC_TOKEN_KEY', ...credentialSettings[credentials]]
var previousWebhookSecret = empty(previousWebhookSecretVersion)
  ? {}
  : {
      OUTREACH_WEBHOOK_SECRET_PREVIOUS: vaultReference(
        vault.outputs.name,
        'OUTREACH_WEBHOOK_SECRET',
        previousWebhookSecretVersion
      )
    }

// With zone redundancy a group that has warm instances at all must have two.
var alwaysReady = map(
  filter(
    [{ name: 'http', count: alwaysReadyHttp }, { name: 'function:sync', count: alwaysReadySync }],
    group => group.count > 0
  ),
  group => { name: group.name, instanceCount: zoneRedundant ? max(group.count, 2) : group.count }
)

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-${token}'
  location: location
  tags: allTags
}

module telemetry 'modules/telemetry.bicep' = {
  params: {
    location: location
    tags: allTags
    token: token
    principalId: identity.properties.principalId
    retentionInDays: logRetentionInDays
    dailyCapGb: logDailyCapGb
  }
}

module storage 'modules/storage.bicep' = {
  params: {
    location: location
    tags: allTags
    token: token
    principalId: identity.properties.principalId
    syncQueueName: settings.?SYNC_QUEUE_NAME ?? plainDefaults.SYNC_QUEUE_NAME
    workspaceId: telemetry.outputs.workspaceId
    zoneRedundant: zoneRedundant
    private: privateNetworking
    auditAccess: auditStorageAccess
    locked: locked
  }
}

module vault 'modules/vault.bicep' = {
  params: {
    location: location
    tags: allTags
    name: 'kv-${token}'
    principalId: identity.properties.principalId
    workspaceId: telemetry.outputs.workspaceId
    private: privateNetworking
    locked: locked
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  params: {
    location: location
    tags: allTags
    token: token
    storageAccountId: storage.outputs.id
    vaultId: vault.outputs.id
    addressPrefix: networkAddressPrefix
    appSubnetPrefix: cidrSubnet(networkAddressPrefix, 27, 0)
    endpointSubnetPrefix: cidrSubnet(networkAddressPrefix, 27, 1)
  }
}

module app 'modules/app.bicep' = {
  params: {
    location: location
    tags: allTags
    token: token
    identityId: identity.id
    identityClientId: identity.properties.clientId
    blobUri: storage.outputs.blobUri
    queueUri: storage.outputs.queueUri
    tableUri: storage.outputs.tableUri
    packagesUri: storage.outputs.packagesUri
    applicationInsightsConnectionString: telemetry.outputs.connectionString
    tracedShare: tracedShare
    // They refer to the vault by the name that its module gives out: so the app waits until its role there exists.
    settings: {
      ...plainDefaults
      ...settings
      ...vaultReferences(vault.outputs.name, secretSettings)
      ...previousWebhookSecret
    }
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpConcurrency: httpConcurrency
    alwaysReady: alwaysReady
    zoneRedundant: zoneRedundant
    subnetId: network.?outputs.appSubnetId ?? ''
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    location: location
    tags: allTags
    token: token
    workspaceId: telemetry.outputs.workspaceId
    insightsId: telemetry.outputs.insightsId
    emails: filter(map(split(alertEmails, ','), email => trim(email)), email => !empty(email))
    lagLimitMinutes: lagLimitMinutes
    queueLimit: queueLimit
    workingZone: workingZone
    workingFrom: workingFrom
    workingTo: workingTo
    webhooks: toLower(settings.?SYNC_SUBSCRIPTION_GUARD ?? plainDefaults.SYNC_SUBSCRIPTION_GUARD) != 'off'
    runbookUrl: runbookUrl
  }
}

// ---- What comes next needs these (azd keeps them in its environment) ------------------------------------------------

output AZURE_RESOURCE_GROUP string = resourceGroup().name
output FUNCTION_APP_NAME string = app.outputs.name
output KEY_VAULT_NAME string = vault.outputs.name
output STORAGE_ACCOUNT_NAME string = storage.outputs.name
output APPLICATION_INSIGHTS_NAME string = telemetry.outputs.insightsName

@description('Where Outreach is to send its events. The function key is to be added as ?code=…')
output WEBHOOK_URL string = 'https://${app.outputs.hostName}/api/outreach/events'

@description('The application that becomes an application user in Dynamics.')
output IDENTITY_CLIENT_ID string = identity.properties.clientId

@description('Settings whose values must be in the vault.')
output VAULT_SETTINGS string = join(secretSettings, ' ')
