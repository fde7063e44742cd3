// A dashboard as Grafana 13 has it, with nothing left open: Grafana's own types from @grafana/schema, which are
// generated from its CUE kinds, put together by the type of each panel. What Grafana ignores is refused here.
import type {Dashboard, DataQuery, Panel, RowPanel, VariableModel} from '@grafana/schema';
import type * as bargauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as gauge from '@grafana/schema/dist/esm/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as logs from '@grafana/schema/dist/esm/raw/composable/logs/panelcfg/x/LogsPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as statetimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as raw from '@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen';

// JSON has no enums: the word that stands for a member is as good as the member.
type Json<T> = T extends string
  ? `${T}`
  : T extends Array<infer U>
    ? Array<Json<U>>
    : T extends object
      ? {[K in keyof T]: Json<T[K]>}
      : T;

// Grafana fills in what options leave out.
type Some<T> = T extends Array<infer U> ? Array<Some<U>> : T extends object ? {[K in keyof T]?: Some<T[K]>} : T;

type Source<T extends string> = {type: T; uid: string};
type Query = Omit<DataQuery, 'datasource' | 'queryType'>;

// Queries are no part of the package since Grafana 13: these are packages/grafana-prometheus/src/dataquery.ts and
// public/app/plugins/datasource/{loki,elasticsearch}/dataquery.gen.ts of github.com/grafana/grafana.
interface PrometheusQuery extends Query {
  expr: string;
  exemplar?: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
  instant?: boolean;
  interval?: string;
  legendFormat?: string;
  range?: boolean;
}
interface LokiQuery extends Query {
  expr: string;
  direction?: 'forward' | 'backward';
  legendFormat?: string;
  maxLines?: number;
  queryType: 'range' | 'instant';
  step?: string;
}
interface ElasticsearchQuery extends Query {
  alias?: string;
  query?: string;
  timeField?: string;
  bucketAggs?: Array<{id: string; type: string; field?: string; settings?: Record<string, unknown>}>;
  metrics?: Array<{id: string; type: string; field?: string; hide?: boolean; settings?: Record<string, unknown>}>;
}
type Asked =
  | {datasource: Source<'prometheus'>; targets: PrometheusQuery[]}
  | {datasource: Source<'loki'>; targets: LokiQuery[]}
  | {datasource: Source<'elasticsearch'>; targets: ElasticsearchQuery[]};

// What @grafana/data registers as standard transformers; the schema says `string`.
type Transformation = Omit<raw.DataTransformerConfig, 'id'> & {
  id:
    | ('calculateField' | 'concatenate' | 'convertFieldType' | 'extractFields' | 'filterByValue' | 'filterFieldsByName')
    | ('groupBy' | 'joinByField' | 'joinByLabels' | 'labelsToFields' | 'limit' | 'merge' | 'organize' | 'reduce')
    | ('renameByRegex' | 'seriesToRows' | 'sortBy' | 'timeSeriesTable');
};

// What a field may be given by an override: anything that it has by default.
type Property<C> =
  | {[K in keyof Fields<C> & string]: {id: K; value: Some<NonNullable<Fields<C>[K]>>}}[keyof Fields<C> & string]
  | {[K in keyof C & string]-?: {id: `custom.${K}`; value: Some<NonNullable<C[K]>>}}[keyof C & string];

// Links of data are said in grafana-data (packages/grafana-data/src/types/dataLink.ts); the schema says `unknown`.
// The rest is what a link of a dashboard has: SDKs write it, and Grafana passes it by.
type Link = {title: string; url: string; targetBlank?: boolean; oneClick?: boolean} & Partial<raw.DashboardLink>;
type Fields<C> = Omit<raw.FieldConfig, 'custom' | 'links'> & {links?: Link[]};

type Typed<T extends string, O, C> = Json<
  Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets' | 'datasource' | 'transformations'> & {
    type: T;
    title: string;
    options?: Some<O>;
    transformations?: Transformation[];
    fieldConfig?: {
      defaults: Fields<C> & {custom?: Some<C>};
      overrides: Array<{matcher: Matcher; properties: Array<Property<C>>}>;
    };
  }
> &
  Asked;

type Matcher =
  | {id: 'byName' | 'byRegexp' | 'byType' | 'byFrameRefID'; options: string}
  | {id: 'byNames'; options: {mode?: 'include' | 'exclude'; names: string[]}};

type None = Record<never, never>;
type Drawn =
  | Typed<'timeseries', timeseries.Options, timeseries.FieldConfig>
  | Typed<'stat', stat.Options, None>
  | Typed<'gauge', gauge.Options, None>
  | Typed<'bargauge', bargauge.Options, None>
  | Typed<'heatmap', heatmap.Options, heatmap.FieldConfig>
  | Typed<'table', table.Options, table.FieldConfig>
  | Typed<'state-timeline', statetimeline.Options, statetimeline.FieldConfig>
  | Typed<'logs', logs.Options, None>
  | (Omit<Json<RowPanel>, 'panels'> & {panels: never[]});

// PromQL in the form that Grafana 9 to 13 read (packages/grafana-prometheus/src/annotations.ts).
type Marks = Omit<raw.AnnotationQuery, 'datasource' | 'target'> &
  (
    | {datasource: Source<'prometheus'>; expr: string; step?: string; tagKeys?: string; titleFormat?: string}
    | {datasource: Source<'grafana'>; target: raw.AnnotationTarget}
  );

export type Board = Omit<Json<Dashboard>, 'panels' | 'annotations' | 'templating' | 'id' | 'version'> & {
  uid: string;
  title: string;
  panels: Drawn[];
  annotations?: {list: Array<Json<Marks>>};
  templating?: {list?: Array<Json<VariableModel>>};
};
