using 'secret.bicep'

// From the environment, because a value on the command line can be read in the list of processes.
param vaultName = readEnvironmentVariable('KEY_VAULT_NAME')
param setting = readEnvironmentVariable('SECRET_SETTING')
param value = readEnvironmentVariable('SECRET_VALUE')
