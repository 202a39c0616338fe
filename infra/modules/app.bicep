metadata description = 'The plan and the function app: its size, its doors, its identity, and the settings of the platform beside those of the app.'

param location string
param tags object
param token string

@description('The app runs as this user-assigned identity, and as nobody else.')
param identityId string
param identityClientId string

param blobUri string
param queueUri string
param tableUri string

@description('The container that the deployed package is kept in.')
param packagesUri string

param applicationInsightsConnectionString string

@description('Share of the events whose calls are traced one by one.')
param tracedShare string

@description('The settings of the app itself, secrets as references to the vault.')
param settings object

param pythonVersion string
param instanceMemoryMB int
param maximumInstanceCount int
param httpConcurrency int

@description('Scale groups with instances that are always warm: [{ name, instanceCount }].')
param alwaysReady array
param zoneRedundant bool

@description('Subnet through which the app leaves; empty: no network of its own.')
param subnetId string

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: 'func-${token}'
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // Outreach calls from the internet and publishes no addresses to allow; the key and the signature guard the door.
    publicNetworkAccess: 'Enabled'
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
    }
    functionAppConfig: {
      runtime: { name: 'python', version: pythonVersion }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packagesUri
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReady
        triggers: { http: { perInstanceConcurrency: httpConcurrency } }
      }
    }
  }

  resource appSettings 'config' = {
    name: 'appsettings'
    properties: union(settings, {
      // The account, by identity: used by the host, the queue trigger and the app.
      AzureWebJobsStorage__blobServiceUri: blobUri
      AzureWebJobsStorage__queueServiceUri: queueUri
      AzureWebJobsStorage__tableServiceUri: tableUri
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      AZURE_CLIENT_ID: identityClientId
      // Whose people may come into the console, where App Service Authentication is switched on.
      AZURE_TENANT_ID: tenant().tenantId
      AzureWebJobsDisableHomepage: 'true'
      // What the host takes in, for anybody and each body several times over: its own 100 MB would fill an instance.
      FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '4194304'
      APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
      PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'
      // The worker's own loggers say something about every call; ours say it once.
      PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME: 'outreach_dynamics'
      OTEL_TRACES_SAMPLER: 'microsoft.fixed_percentage'
      OTEL_TRACES_SAMPLER_ARG: tracedShare
      // Spans are the app's own. That of an HTTP library would hold the whole URL, with an e-mail address in a $filter.
      OTEL_PYTHON_DISABLED_INSTRUMENTATIONS: 'azure_sdk,django,fastapi,flask,httpx,httpx2,psycopg2,requests,urllib,urllib3'
    })
  }

  resource ftpPublishing 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scmPublishing 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output id string = app.id
output name string = app.name
output hostName string = app.properties.defaultHostName
