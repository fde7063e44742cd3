import * as observability from "@pulumi/observability";
import * as pulumi from "@pulumi/pulumi";

const config = new pulumi.Config();

const stack = new observability.Stack("observability", {
    settingsFile: "observability.yaml",
    secrets: { "hook-url": config.requireSecret("hook-url") },
});

export const otelEnv = stack.otelEnv;
export const prometheus = stack.urls.apply((urls) => urls["prometheus"]);
