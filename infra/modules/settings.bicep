metadata description = 'The settings of the app by their own names: which are plain, with their defaults, and which are secrets. Declares no resource.'

@export()
@description('Plain settings, named and meant as in the README. What is left out takes the default below.')
type plainSettings = {
  @description('The Dynamics organisation, for example https://contoso.crm.dynamics.com')
  DATAVERSE_URL: string
  @minLength(3)
  @maxLength(56)
  SYNC_QUEUE_NAME: string?
  OUTREACH_API_URL: string?
  OUTREACH_ORG_ID: string?
  OUTREACH_REDIRECT_URI: string?
  SYNC_PUSHING: string?
  SYNC_OUTBOUND_CREATE: string?
  SYNC_OUTBOUND_UPDATE: string?
  SYNC_ON_CANCEL: string?
  SYNC_ON_COMPLETE: string?
  SYNC_ALL_DAY_TIME_ZONE: string?
  MAPPING_FILE: string?
  SYNC_RETENTION_DAYS: string?
  SYNC_MEETING_RETENTION_DAYS: string?
  SYNC_SUBSCRIPTION_GUARD: string?
  PUBLIC_URL: string?
}

@export()
@description('The defaults of the app itself; tests/infra holds the two lists together.')
var plainDefaults = {
  SYNC_QUEUE_NAME: 'outreach-events'
  OUTREACH_API_URL: 'https://api.outreach.io'
  OUTREACH_ORG_ID: ''
  OUTREACH_REDIRECT_URI: ''
  SYNC_PUSHING: 'true'
  SYNC_OUTBOUND_CREATE: 'true'
  SYNC_OUTBOUND_UPDATE: 'true'
  SYNC_ON_CANCEL: 'ignore'
  SYNC_ON_COMPLETE: 'complete'
  SYNC_ALL_DAY_TIME_ZONE: 'UTC'
  MAPPING_FILE: ''
  SYNC_RETENTION_DAYS: '90'
  SYNC_MEETING_RETENTION_DAYS: '400'
  SYNC_SUBSCRIPTION_GUARD: 'repair'
  PUBLIC_URL: ''
}

@export()
@description('How the app proves to Outreach who it is.')
type credentialKind = 's2s' | 'oauth' | 'token'

@export()
@description('The settings of each kind. Only those of the chosen kind are set: a reference to a secret that is not there reaches the app as a value.')
var credentialSettings = {
  s2s: ['OUTREACH_S2S_GUID', 'OUTREACH_S2S_INSTALL_ID', 'OUTREACH_S2S_PRIVATE_KEY']
  oauth: ['OUTREACH_CLIENT_ID', 'OUTREACH_CLIENT_SECRET', 'OUTREACH_REFRESH_TOKEN']
  token: ['OUTREACH_API_TOKEN']
}

@export()
@description('What an app setting holds so that the platform reads it from the vault. The names there know no underscores; an empty version is the newest.')
func vaultReference(vaultName string, setting string, version string) string =>
  '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${toLower(replace(setting, '_', '-'))}${empty(version) ? '' : ';SecretVersion=${version}'})'

@export()
@description('Each of these settings with the reference that it holds.')
func vaultReferences(vaultName string, settings string[]) object =>
  toObject(settings, setting => setting, setting => vaultReference(vaultName, setting, ''))
