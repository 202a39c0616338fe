using '../main.bicep'

// The least that runs: no warm instance, so that an idle month costs next to nothing and the first event after a
// quiet time may be late. For a trial, not for production.

param environmentName = 'trial'
param settings = { DATAVERSE_URL: 'https://contoso-trial.crm.dynamics.com' }
param alwaysReadyHttp = 0
