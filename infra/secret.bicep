metadata description = 'Puts one value into the vault. It goes through Azure Resource Manager: whoever may deploy may do this, also where the vault has no public door.'

param vaultName string

@description('The setting that refers to it, for example OUTREACH_WEBHOOK_SECRET.')
param setting string

@secure()
@minLength(1)
param value string

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' existing = {
  name: vaultName

  resource secret 'secrets' = {
    name: toLower(replace(setting, '_', '-'))
    properties: {
      value: value
      contentType: setting
    }
  }
}
