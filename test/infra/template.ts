import { App, Validations } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { Code } from "aws-cdk-lib/aws-lambda";
import { AwsSolutionsChecks } from "cdk-nag";
import { flattenCfnReference } from "cdk-nag/lib/utils/flatten-cfn-reference.js";
import { type Bundler, bundle } from "../../infra/bundle.ts";
import { readSettings } from "../../infra/settings.ts";
import { makeStack } from "../../infra/stack.ts";

/** A statement of a role's policy, its references as flat texts such as `<Table.Arn>`. */
export interface Statement {
  actions: string[];
  resources: string[];
  conditions: unknown;
}

/** The template that a context gives. */
export interface Synthesized {
  template: Template;
  /** The properties of the resources of a type, by their logical ids without the hash. */
  of(type: string): Map<string, Properties>;
  /** What a function's role allows, as few statements as CDK makes of it. */
  statementsOf(functionName: string): Statement[];
  /** What a role allows by policies of its own, by the id of its construct. */
  rightsOf(roleId: string): Statement[];
  /** A function's environment, its references as flat texts. */
  environmentOf(functionName: string): Record<string, string>;
  /** Where the code of a function is in the assembly. */
  codeOf(functionName: string): string;
}

// biome-ignore lint/suspicious/noExplicitAny: a template is looked into wherever a test wants
export type Properties = Record<string, any>;

export interface SynthesizeOptions {
  /** A directory of the test's own. */
  outdir: string;
  /** The functions have their real code; default: none, which takes a tenth of the time. */
  code?: boolean;
}

const noCode: Bundler = () => ({ handler: "index.handler", code: Code.fromInline("// none") });

/** Synthesizes the stack of a context. */
export function synthesize(context: Record<string, unknown>, { outdir, code = false }: SynthesizeOptions): Synthesized {
  const app = new App({ context, outdir });
  const stack = makeStack(app, readSettings(app.node), code ? bundle : noCode);
  const template = Template.fromStack(stack);
  const resources = (template.toJSON() as { Resources: Record<string, { Type: string; Properties: Properties }> })
    .Resources;
  const of = (type: string) =>
    new Map(
      Object.entries(resources)
        .filter(([, resource]) => resource.Type === type)
        .map(([id, resource]) => [plain(id), resource.Properties ?? {}]),
    );
  const rightsOf = (roleId: string): Statement[] => {
    const policies = [...of("AWS::IAM::Policy").values()].filter(({ Roles }) =>
      Roles.some((role: unknown) => flat(role) === `<${roleId}>`),
    );
    const statements = policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
    return statements.map((statement: Properties) => ({
      actions: [statement.Action].flat().sort(),
      resources: [statement.Resource].flat().map(flat).sort(),
      conditions: flatDeep(statement.Condition),
    }));
  };
  return {
    template,
    of,
    statementsOf: (functionName) => rightsOf(`${functionName}Role`),
    rightsOf,
    environmentOf(functionName) {
      const variables = of("AWS::Lambda::Function").get(`${functionName}Function`)?.Environment.Variables ?? {};
      return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, flat(value)]));
    },
    codeOf(functionName) {
      const key = of("AWS::Lambda::Function").get(`${functionName}Function`)?.Code.S3Key as string;
      return `asset.${key.replace(/\.zip$/, "")}`;
    },
  };
}

/** What cdk-nag says of the stack of a context; throws nothing by itself. */
export function checked(context: Record<string, unknown>, outdir: string): App {
  const app = new App({ context, outdir });
  makeStack(app, readSettings(app.node), noCode);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return app;
}

/** A value of a template as a text; references as `<LogicalId.Attribute>`, without the hash. */
export function flat(value: unknown): string {
  return flattenCfnReference(value).replace(/<(\w+?)[0-9A-F]{8}(\.\w+)?>/g, "<$1$2>");
}

/** The same value with texts in place of references, wherever they stand. */
function flatDeep(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(flatDeep);
  if (typeof value !== "object" || value === null) return value;
  if (Object.keys(value).some((key) => key === "Ref" || key.startsWith("Fn::"))) return flat(value);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, flatDeep(member)]));
}

function plain(logicalId: string): string {
  return logicalId.replace(/[0-9A-F]{8}$/, "");
}
