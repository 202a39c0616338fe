metadata description = 'All state of the app: its queues and tables, the package it runs from, and what the Functions host keeps. No keys, no anonymous access.'

param location string
param tags object
@minLength(1)
param token string

@description('Principal of the app, the only one that gets a role here.')
param principalId string

param syncQueueName string
param workspaceId string

@description('Spread over three zones. Cannot be switched later by deploying again.')
param zoneRedundant bool

@description('Reachable through private endpoints only.')
param private bool

@description('Log every read, write and delete. About 5 GB of logs per million events, and those of the host polling.')
param auditAccess bool

param locked bool

// What the Functions host asks of the account in AzureWebJobsStorage, and the app of its queues and tables:
// https://learn.microsoft.com/azure/azure-functions/functions-reference#connecting-to-host-storage-with-an-identity
var roles = {
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  storageQueueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}
var queues = [syncQueueName, '${syncQueueName}-poison']
var tables = ['meetings', 'correlations', 'deadletters', 'spill', 'directory', 'tokens', 'sweep', 'tallies', 'sessions', 'unverified']
var access = ['StorageRead', 'StorageWrite', 'StorageDelete']

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: 'st${token}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    isLocalUserEnabled: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: private ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: private ? 'Deny' : 'Allow'
      bypass: 'AzureServices'
    }
  }

  resource blobService 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: true, days: 7 }
      containerDeleteRetentionPolicy: { enabled: true, days: 7 }
    }

    resource packages 'containers' = {
      name: 'packages'
      properties: { publicAccess: 'None' }
    }
  }

  resource queueService 'queueServices' = {
    name: 'default'
  }

  resource tableService 'tableServices' = {
    name: 'default'
  }
}

resource queueOf 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [
  for name in queues: {
    parent: account::queueService
    name: name
  }
]

resource tableOf 'Microsoft.Storage/storageAccounts/tableServices/tables@2025-06-01' = [
  for name in tables: {
    parent: account::tableService
    name: name
  }
]

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in items(roles): {
    scope: account
    name: guid(account.id, principalId, role.value)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.value)
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource blobAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (auditAccess) {
  scope: account::blobService
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [for category in access: { category: category, enabled: true }]
  }
}

resource queueAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (auditAccess) {
  scope: account::queueService
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [for category in access: { category: category, enabled: true }]
  }
}

resource tableAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (auditAccess) {
  scope: account::tableService
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [for category in access: { category: category, enabled: true }]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  scope: account
  name: 'holds-sync-state'
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds the state of every mirrored meeting. Remove this lock before you delete the account.'
  }
}

output id string = account.id
output name string = account.name
output blobUri string = account.properties.primaryEndpoints.blob
output queueUri string = account.properties.primaryEndpoints.queue
output tableUri string = account.properties.primaryEndpoints.table
output packagesUri string = '${account.properties.primaryEndpoints.blob}${account::blobService::packages.name}'
