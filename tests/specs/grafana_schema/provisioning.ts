// Provisioning files as Grafana 13 reads them, with nothing left open. Grafana publishes no schema of these: keys of
// files are pkg/services/provisioning/{datasources,dashboards}/types.go of github.com/grafana/grafana, and those of
// `jsonData` are the options of each datasource's plugin there, as named below.

// DataSourceJsonData of packages/grafana-data, and what the HTTP settings of every datasource write.
interface Common {
  manageAlerts?: boolean;
  alertmanagerUid?: string;
  timeout?: number;
  tlsAuth?: boolean;
  tlsAuthWithCACert?: boolean;
  tlsSkipVerify?: boolean;
  serverName?: string;
}

// packages/grafana-prometheus/src/types.ts: PromOptions
interface Prometheus extends Common {
  httpMethod?: 'GET' | 'POST';
  timeInterval?: string;
  queryTimeout?: string;
  customQueryParameters?: string;
  disableMetricsLookup?: boolean;
  exemplarTraceIdDestinations?: Array<
    {name: string; urlDisplayLabel?: string} & ({datasourceUid: string; url?: never} | {url: string; datasourceUid?: never})
  >;
  prometheusType?: 'Cortex' | 'Mimir' | 'Prometheus' | 'Thanos';
  prometheusVersion?: string;
  cacheLevel?: 'Low' | 'Medium' | 'High' | 'None';
  defaultEditor?: 'code' | 'builder';
  incrementalQuerying?: boolean;
  incrementalQueryOverlapWindow?: string;
  disableRecordingRules?: boolean;
  allowAsRecordingRulesTarget?: boolean;
  seriesEndpoint?: boolean;
}

// public/app/plugins/datasource/loki/types.ts: LokiOptions
interface Loki extends Common {
  maxLines?: string;
  alertmanager?: string;
  predefinedOperations?: string;
  derivedFields?: Array<{
    name: string;
    matcherType?: 'regex' | 'label';
    matcherRegex: string;
    url?: string;
    urlDisplayLabel?: string;
    datasourceUid?: string;
    targetBlank?: boolean;
  }>;
}

// packages/grafana-o11y-ds-frontend/src/TraceToLogs and TraceToMetrics; jaeger/datasource.ts: JaegerJsonData
type Tags = Array<{key: string; value?: string}>;
interface Around {
  datasourceUid: string;
  tags?: Tags;
  spanStartTimeShift?: string;
  spanEndTimeShift?: string;
}
interface Jaeger extends Common {
  nodeGraph?: {enabled: boolean};
  spanBar?: {type: 'None' | 'Duration' | 'Tag'; tag?: string};
  traceIdTimeParams?: {enabled: boolean};
  tracesToLogsV2?: Around & {filterByTraceID?: boolean; filterBySpanID?: boolean} & (
      | {customQuery: true; query: string}
      | {customQuery: false; query?: never}
    );
  tracesToMetrics?: Around & {queries: Array<{name: string; query: string}>};
}

// public/app/plugins/datasource/alertmanager/types.ts: AlertManagerDataSourceJsonData
interface Alertmanager extends Common {
  implementation: 'prometheus' | 'mimir' | 'cortex';
  handleGrafanaManagedAlerts?: boolean;
}

// public/app/plugins/datasource/elasticsearch/types.ts: ElasticsearchOptions
interface Elasticsearch extends Common {
  index: string;
  timeField: string;
  timeInterval?: string;
  interval?: 'Hourly' | 'Daily' | 'Weekly' | 'Monthly' | 'Yearly';
  maxConcurrentShardRequests?: number;
  logMessageField?: string;
  logLevelField?: string;
  includeFrozen?: boolean;
  dataLinks?: Array<{field: string; url: string; urlDisplayLabel?: string; datasourceUid?: string}>;
}

type Source<T extends string, D> = {
  name: string;
  uid: string;
  type: T;
  access: 'proxy';
  url: string;
  orgId?: number;
  isDefault?: boolean;
  editable: false;
  jsonData: D;
  secureJsonData?: {basicAuthPassword?: string; tlsCACert?: string; tlsClientCert?: string; tlsClientKey?: string};
} & ({basicAuth: true; basicAuthUser: string} | {basicAuth?: false; basicAuthUser?: never});

export type Datasources = {
  apiVersion: 1;
  prune?: boolean;
  deleteDatasources?: Array<{name: string; orgId?: number}>;
  datasources: Array<
    | Source<'prometheus', Prometheus>
    | Source<'loki', Loki>
    | Source<'jaeger', Jaeger>
    | Source<'alertmanager', Alertmanager>
    | Source<'elasticsearch', Elasticsearch>
  >;
};

export type Providers = {
  apiVersion: 1;
  providers: Array<{
    name: string;
    orgId?: number;
    folder: string;
    folderUid?: string;
    type: 'file';
    disableDeletion?: boolean;
    allowUiUpdates?: boolean;
    updateIntervalSeconds?: number;
    options: {path: string; foldersFromFilesStructure?: boolean};
  }>;
};
