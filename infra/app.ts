import { App, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks } from "cdk-nag";
import { readSettings } from "./settings.ts";
import { makeStack } from "./stack.ts";

/** What `cdk` runs: one stack, in the account and the region of the caller's credentials, and its rules. */
const app = new App();
makeStack(app, readSettings(app.node));
Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
app.synth();
