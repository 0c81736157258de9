import { createEnvSecrets } from "../../../adapters/secrets/env.ts";
import { secretsContract } from "../../contracts/secrets.ts";

const env = {
  API_TOKEN: "a=b c\n",
  EMPTY: "",
  lower_case: "x",
  UNSET: undefined,
  LONGSHORE_KEY: "longshore-value",
  AWS_SECRET_ACCESS_KEY: "aws-value",
  aws_session_token: "session-value",
  AWSOME: "no setting of AWS",
};

secretsContract("env", async () => ({
  source: createEnvSecrets(env),
  known: { API_TOKEN: "a=b c\n", EMPTY: "", lower_case: "x", AWSOME: "no setting of AWS" },
  missing: ["NOT_SET", "UNSET", "with-dash", "API_TOKEN=", "toString", "hasOwnProperty"],
  forbidden: [
    "LONGSHORE_KEY",
    "LONGSHORE_NOT_SET",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_NOT_SET",
    "aws_session_token",
    "Longshore_Key",
  ],
  hidden: ["longshore-value", "aws-value", "session-value"],
}));
