metadata description = 'Alerts and the workbook. The queries are files in infra/kql, tested against the names that the app logs; what to do about each alert is in docs/runbook.md.'

param location string
param tags object
param token string

@description('Where the telemetry lies.')
param workspaceId string

@description('The workbook is found beside it.')
param insightsId string

@description('Who gets the alerts; nobody: they only show in the portal.')
param emails array

@description('Minutes after which an event that the app has is late.')
param lagLimitMinutes int

@description('So many waiting events are too many, if they become more.')
param queueLimit int

@description('IANA zone in which Outreach is expected to send something from Monday to Friday.')
param workingZone string

@minValue(0)
@maxValue(20)
param workingFrom int

@minValue(4)
@maxValue(24)
param workingTo int

@description('Whether Outreach sends by webhook; without one its silence means nothing.')
param webhooks bool

@description('Where the runbook can be read; each alert links to its part of it.')
param runbookUrl string

// A window is at least twice its step: a log line can be some minutes late, and must not fall between two looks.
// `splitBy`: the column that tells the rows of a query apart. Each of its values is an alert with a mail of its own, and
// ends by itself; without it a second trouble would hide behind the first. Its values are few, and never empty.
// https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule
// Severity: 1 events are or will be lost to people, 2 somebody must act today, 3 look when you can.
var alerts = [
  {
    name: 'dead-letters'
    title: 'Events became dead letters'
    severity: 2
    splitBy: 'code'
    frequency: 'PT15M'
    window: 'PT30M'
    query: loadTextContent('../kql/alert-dead-letters.kql')
  }
  {
    name: 'lag'
    title: 'Changes reach Dynamics late'
    severity: 2
    splitBy: 'problem'
    frequency: 'PT5M'
    // What fails for now is tried again at least every quarter of an hour.
    window: 'PT30M'
    query: replace(loadTextContent('../kql/alert-lag.kql'), 'let tooLate = 600;', 'let tooLate = ${lagLimitMinutes * 60};')
  }
  {
    name: 'ingest-failing'
    title: 'Deliveries are not taken in'
    severity: 1
    splitBy: 'cause'
    frequency: 'PT5M'
    window: 'PT15M'
    query: loadTextContent('../kql/alert-ingest-failing.kql')
  }
  {
    name: 'ingest-silent'
    title: 'Outreach sends nothing in working hours'
    severity: 2
    splitBy: ''
    frequency: 'PT1H'
    window: 'PT3H'
    query: replace(
      replace(
        replace(loadTextContent('../kql/alert-ingest-silent.kql'), 'let zone = "UTC";', 'let zone = "${workingZone}";'),
        'let firstHour = 9;',
        'let firstHour = ${workingFrom};'
      ),
      'let lastHour = 17;',
      'let lastHour = ${workingTo};'
    )
  }
  {
    name: 'not-running'
    title: 'The app does not run, or a part of its timer'
    severity: 1
    splitBy: 'part'
    frequency: 'PT5M'
    // A part of the timer that fails is logged at least every ten minutes.
    window: 'PT30M'
    query: loadTextContent('../kql/alert-not-running.kql')
  }
  {
    name: 'queue-growing'
    title: 'More and more events wait'
    severity: 2
    splitBy: ''
    frequency: 'PT15M'
    window: 'PT30M'
    query: replace(loadTextContent('../kql/alert-queue-growing.kql'), 'let tooMany = 500;', 'let tooMany = ${queueLimit};')
  }
  {
    name: 'subscription'
    title: 'The Outreach webhook is missing or off, or what it missed cannot be read'
    severity: 1
    splitBy: 'about'
    frequency: 'PT15M'
    window: 'PT30M'
    query: loadTextContent('../kql/alert-subscription.kql')
  }
  {
    name: 'credentials'
    title: 'A credential is refused or about to expire'
    severity: 1
    splitBy: 'problem'
    frequency: 'PT15M'
    window: 'PT1H'
    query: loadTextContent('../kql/alert-credentials.kql')
  }
]

resource receivers 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emails)) {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'outreachsync'
    enabled: true
    emailReceivers: [
      for (email, index) in emails: {
        name: 'receiver-${index}'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in alerts: {
    name: 'alert-${alert.name}-${token}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Outreach to Dynamics: ${alert.title}'
      description: 'What to do: ${runbookUrl}#${alert.name}'
      severity: alert.severity
      // Switched off and not left out: a deployment does not remove what it no longer names.
      enabled: webhooks || alert.name != 'ingest-silent'
      scopes: [workspaceId]
      evaluationFrequency: alert.frequency
      windowSize: alert.window
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            dimensions: empty(alert.splitBy) ? [] : [{ name: alert.splitBy, operator: 'Include', values: ['*'] }]
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      autoMitigate: true
      // A table that nothing was written to yet is not there yet.
      skipQueryValidation: true
      actions: { actionGroups: empty(emails) ? [] : [receivers.id] }
    }
  }
]

var charts = [
  { title: 'What became of events', query: loadTextContent('../kql/overview.kql'), shown: 'barchart' }
  { title: 'What waits', query: loadTextContent('../kql/backlog.kql'), shown: 'timechart' }
  { title: 'Lag: from the change in Outreach until Dynamics had it (seconds)', query: loadTextContent('../kql/lag.kql'), shown: 'timechart' }
  { title: 'In the queue before the first attempt (seconds)', query: loadTextContent('../kql/wait.kql'), shown: 'timechart' }
  { title: 'Errors by reason', query: loadTextContent('../kql/errors.kql'), shown: 'table' }
  { title: 'Throttling (seconds of pause)', query: loadTextContent('../kql/throttling.kql'), shown: 'barchart' }
  { title: 'Conflicts (rounds begun again)', query: loadTextContent('../kql/conflicts.kql'), shown: 'timechart' }
  { title: 'Calls per event', query: loadTextContent('../kql/cost.kql'), shown: 'table' }
  { title: 'Telemetry in GB', query: loadTextContent('../kql/volume.kql'), shown: 'table' }
  { title: 'The path of the event above', query: loadTextContent('../kql/path.kql'), shown: 'table' }
]

// https://learn.microsoft.com/azure/azure-monitor/visualize/workbooks-automate
var head = [
  {
    type: 9
    name: 'parameters'
    content: {
      version: 'KqlParameterItem/1.0'
      style: 'pills'
      queryType: 0
      resourceType: 'microsoft.operationalinsights/workspaces'
      parameters: [
        {
          id: guid(token, 'TimeRange')
          version: 'KqlParameterItem/1.0'
          name: 'TimeRange'
          label: 'Time'
          type: 4
          isRequired: true
          value: { durationMs: 86400000 }
          typeSettings: {
            selectableValues: [{ durationMs: 3600000 }, { durationMs: 86400000 }, { durationMs: 604800000 }, { durationMs: 2592000000 }]
            allowCustom: true
          }
        }
        {
          id: guid(token, 'CorrelationId')
          version: 'KqlParameterItem/1.0'
          name: 'CorrelationId'
          label: 'Correlation id'
          type: 1
          value: ''
        }
      ]
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(token, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Outreach to Dynamics'
    category: 'workbook'
    sourceId: insightsId
    serializedData: string({
      version: 'Notebook/1.0'
      fallbackResourceIds: [workspaceId]
      items: concat(head, map(charts, chart => {
        type: 3
        name: chart.title
        content: {
          version: 'KqlItem/1.0'
          title: chart.title
          query: chart.query
          size: 0
          timeContextFromParameter: 'TimeRange'
          queryType: 0
          resourceType: 'microsoft.operationalinsights/workspaces'
          crossComponentResources: [workspaceId]
          visualization: chart.shown
        }
      }))
    })
  }
}

output workbookId string = workbook.id
