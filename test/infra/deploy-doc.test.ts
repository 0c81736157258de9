import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ArgsDef } from "citty";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readArgs } from "../../cli/command.ts";
import { longshore } from "../../cli/commands.ts";
import { findCommand } from "../../cli/dispatch.ts";
import { ROUTES } from "../../infra/constructs/api.ts";
import { readSettings } from "../../infra/settings.ts";
import packageJson from "../../package.json" with { type: "json" };
import { type DeployDoc, readDeployDoc } from "./deploy-doc.ts";
import { type Synthesized, synthesize } from "./template.ts";

let folder: string;
let doc: DeployDoc;
let made: Synthesized;
/** With the choices that make other alarms and rules. */
let other: Synthesized;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "longshore-doc-"));
  doc = await readDeployDoc();
  made = synthesize({ inboundSources: "my.app" }, { outdir: join(folder, "made") });
  other = synthesize({ reserveConcurrency: "false" }, { outdir: join(folder, "other") });
}, 60_000);
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Policy {
  Version: string;
  Statement: { Sid: string; Effect: string; Action: string; Resource: string; Condition?: unknown }[];
}

const policies = () => doc.blocks("json").map((block) => JSON.parse(block) as Policy);
const statementsFor = (action: string) =>
  policies()
    .flatMap(({ Statement }) => Statement)
    .filter(({ Action }) => Action === action);

/** The names of the settings, as they are asked of the context, and their defaults. */
function settings(): { names: string[]; defaults: Record<string, unknown> } {
  const names: string[] = [];
  const defaults = readSettings({
    tryGetContext(name) {
      names.push(name);
      return undefined;
    },
  });
  return { names, defaults };
}

function alarmsOf({ of }: Synthesized): string[] {
  return [...of("AWS::CloudWatch::Alarm").values()].map(({ AlarmName }) => AlarmName.replace("longshore-prod-", ""));
}

describe("the page about a deployment", () => {
  it("has a heading for each alarm, and for nothing else below the alarms", () => {
    expect(doc.headings(4).sort()).toEqual(alarmsOf(made).sort());
    for (const name of alarmsOf(other)) expect(doc.text, name).toContain(name);
  });

  it("has a policy for each route and for the WebSockets, with its exact ARN, and for no other", () => {
    for (const { Version, Statement } of policies()) {
      expect(Version).toBe("2012-10-17");
      const sids = Statement.map(({ Sid }) => Sid);
      expect(new Set(sids).size).toBe(sids.length);
    }
    const invoke = statementsFor("execute-api:Invoke");
    expect(new Set(invoke.map(({ Effect }) => Effect))).toEqual(new Set(["Allow"]));
    const [stage] = made.of("AWS::ApiGatewayV2::Stage").values();
    const socket = `arn:aws:execute-api:REGION:ACCOUNT:LOG_STREAM_API/${stage?.StageName}/$connect`;
    const arns = ROUTES.map(([method, path]) => {
      return `arn:aws:execute-api:REGION:ACCOUNT:API/api/${method}${path.replace(/\{\w+\+?\}/g, "*")}`;
    });
    expect(invoke.map(({ Resource }) => Resource).sort()).toEqual([...arns, socket].sort());
  });

  it("lets a sender of events put on the bus what the deployed rule takes", () => {
    const [rule] = [...made.of("AWS::Events::Rule").values()].filter(({ EventBusName }) => EventBusName !== undefined);
    expect(statementsFor("events:PutEvents")).toMatchObject([
      {
        Resource: `arn:aws:events:REGION:ACCOUNT:event-bus/${made.of("AWS::Events::EventBus").get("Bus")?.Name}`,
        Condition: {
          StringEquals: {
            "events:source": rule?.EventPattern.source[0],
            "events:detail-type": rule?.EventPattern["detail-type"][0],
          },
        },
      },
    ]);
    expect(doc.text).toContain(`"DetailType": "${rule?.EventPattern["detail-type"][0]}"`);
  });

  it("names every setting with its default, and none that there is not", () => {
    const rows = doc.table("setting");
    const { names, defaults } = settings();
    expect(rows.map(([name]) => name).sort()).toEqual(names.map((name) => `\`${name}\``).sort());
    for (const [name = "", , said = ""] of rows) {
      const value = defaults[name.replaceAll("`", "")];
      const isPlain = ["string", "number", "boolean"].includes(typeof value);
      if (isPlain) expect(said, name).toBe(`\`${value}\``);
      else if (Array.isArray(value) && value.length > 0) expect(said, name).toBe(`\`${value.join(",")}\``);
      else expect(said, name).not.toMatch(/`/);
    }
  });

  it("says by -c only what is a setting, with values that it may have", () => {
    const lines = doc.text.split("\n").filter((line) => /-c (?!name=value)\w+=/.test(line));
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      const said = new Map([...line.matchAll(/-c (\w+)=([^\s`]+)/g)].map(([, name = "", value = ""]) => [name, value]));
      for (const name of said.keys()) expect(settings().names, line).toContain(name);
      // What the shell puts in is not known here.
      const isShell = [...said.values()].some((value) => value.includes("$"));
      if (!isShell) expect(() => readSettings({ tryGetContext: (name) => said.get(name) }), line).not.toThrow();
    }
  });

  it("names every output", () => {
    const names = Object.keys(made.template.findOutputs("*"));
    for (const name of names) expect(doc.text).toContain(`\`${name.replace(/(?<=^ApiEndpoint).*$/, "…")}\``);
    for (const [, asked] of doc.text.matchAll(/\$\(output (\w+)\)/g)) expect(names).toContain(asked);
  });

  it("asks the stack only for what is in it", () => {
    const asked = [...doc.text.matchAll(/\$\(of (\S+) (\w+)/g)];
    expect(asked.length).toBeGreaterThan(5);
    for (const [whole, type = "", prefix = ""] of asked) {
      const found = [...made.of(type).keys()].filter((id) => id.startsWith(prefix));
      expect(found, whole).toHaveLength(1);
    }
    const text = JSON.stringify(made.template.toJSON());
    for (const [name] of doc.text.matchAll(/longshore-prod-[a-z]+/g)) {
      expect(name === "longshore-prod-home" || text.includes(`"${name}"`), name).toBe(true);
    }
  });

  it("tells the numbers of the stack", () => {
    const reserved = [...made.of("AWS::Lambda::Function").values()].map((one) => one.ReservedConcurrentExecutions ?? 0);
    const sum = reserved.reduce((a, b) => a + b, 0);
    expect(doc.text).toContain(`${sum} concurrent executions`);
    const [queue] = made.of("AWS::SQS::Queue").values();
    expect(doc.text).toContain(`queues keep them for ${queue?.MessageRetentionPeriod / 86_400}`);
    const mapping = (name: string) => made.of("AWS::Lambda::EventSourceMapping").get(`${name}Source`);
    expect(doc.text).toContain(`passed over after ${mapping("ChangeFeed")?.MaximumRetryAttempts} tries`);
    expect(mapping("Publish")?.MaximumRecordAgeInSeconds).toBe(6 * 3600);
    expect(doc.text).toContain("passed over after six hours of tries");
    expect(doc.text).toContain(
      `${made.of("AWS::Lambda::Function").get("StreamFunction")?.ReservedConcurrentExecutions} streams`,
    );
    expect(doc.text).toContain(
      `${made.of("AWS::Lambda::Function").get("LogSocketFunction")?.ReservedConcurrentExecutions} WebSockets`,
    );
  });

  it("calls commands of longshore that there are, with flags that they have", async () => {
    const lines = doc.commands
      .map((line) => line.replace(/^(\w+=\S+ )+/, ""))
      .filter((line) => line.startsWith("longshore "));
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) {
      const { command, args } = await findCommand(longshore, line.split(/\s+/).slice(1));
      const flags = (typeof command.args === "function" ? await command.args() : await command.args) as ArgsDef;
      expect(command.subCommands, line).toBeUndefined();
      expect(() => readArgs(args, flags), line).not.toThrow();
    }
  });

  it("calls the CDK by its own words, and scripts that there are", () => {
    for (const line of doc.commands.filter((one) => one.startsWith("npx "))) {
      expect(line).toMatch(/^npx cdk (bootstrap|deploy|destroy|diff)\b/);
    }
    const scripts = [...doc.text.matchAll(/npm run ([\w:-]+)/g)].map(([, script]) => script);
    expect(scripts.length).toBeGreaterThan(0);
    for (const script of scripts) expect(Object.keys(packageJson.scripts)).toContain(script);
  });

  it("links to places that are there", () => {
    expect(doc.links.length).toBeGreaterThan(10);
    for (const link of doc.links) expect([...doc.anchors], link).toContain(link);
  });
});
