import { describe, expect, test } from "vitest";
import { announcesSecret, findSecrets, isSensitiveName } from "../../../engine/spec/sensitive.ts";

describe("a variable's name", () => {
  test.each(
    `PASSWORD DB_PASSWORD db-password dbPassword DBPassword MYSQLPASSWORD PASSWORD2 PASSWORD_1 POSTGRES_PASSWD PGPASSWORD
    DB_PASS DBPASS DB_PWD PWD_DB USERPWD SSH_PASSPHRASE SECRET CLIENT_SECRET SECRET_KEY_BASE AWS_SECRET_ACCESS_KEY
    AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN TOKEN GITHUB_TOKEN API_TOKENS authToken apikey API_KEY apiKey ACCESSKEY KEY
    ENCRYPTION_KEY STRIPE_KEY LICENSE_KEY ACCOUNT_KEY CREDENTIALS GOOGLE_CREDENTIAL SENTRY_DSN DSN AUTH BASIC_AUTH
    REGISTRY_AUTH OAUTH AUTHORIZATION PRIVATE PRIVATE_KEY CONNECTION_STRING AZURE_STORAGE_CONNECTION_STRING CONNSTR
    ConnectionStrings__Default JWT SESSION_COOKIE GH_PAT HASH_SALT`.split(/\s+/),
  )("%s is sensitive", (name) => {
    expect(isSensitiveName(name)).toBe(true);
  });

  test.each(
    `KEYBOARD MONKEY KEYBOARD_LAYOUT TURKEY HOTKEYS KEYSPACE API_KEYBOARD PWD OLDPWD AUTHOR GIT_AUTHOR_NAME AUTHORITY COMPASS BYPASS
    PASSENGER PASSIVE TOKENIZER TOKENIZERS_PARALLELISM MAX_TOKENS MAX_NEW_TOKENS SSH_PUBLIC_KEY PUBLICKEY AUTH_URL
    SSH_AUTH_SOCK KEY_FILE LOG_LEVEL PATH HOME PIN_COUNT COUNTRY SALTY PATH_PREFIX constructor`.split(/\s+/),
  )("%s is not", (name) => {
    expect(isSensitiveName(name)).toBe(false);
  });
});

const AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7\nabcdef==\n-----END RSA PRIVATE KEY-----";

describe("a text", () => {
  test.each([
    [PEM, PEM],
    [`before ${PEM}\nafter`, PEM],
    ["-----BEGIN OPENSSH PRIVATE KEY-----\ncut", "-----BEGIN OPENSSH PRIVATE KEY-----\ncut"],
    [
      "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----",
      "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----",
    ],
    [`Bearer ${JWT}`, JWT],
    ["id=AKIAIOSFODNN7EXAMPLE.", "AKIAIOSFODNN7EXAMPLE"],
    [AWS_SECRET, AWS_SECRET],
    [`aws_x=${AWS_SECRET} y`, AWS_SECRET],
    [`x ghp_${"a1".repeat(18)}`, `ghp_${"a1".repeat(18)}`],
    ["xoxb-1234567890-abcdef", "xoxb-1234567890-abcdef"],
    ["pass=hunter2", undefined],
    ["--password=hunter2 -v", "hunter2"],
    ["PGPASSWORD='hunter 2' psql", "hunter 2"],
    ["Server=db;User Id=sa;Password=hunter2;", "hunter2"],
    ["Server=db;Uid=sa;Pwd=hunter2;", "hunter2"],
    ["PWD=/tmp/work make", undefined],
    ["AccountName=a;AccountKey=abc==;Suffix=x", "abc=="],
    ["https://x.blob.example/c?sv=1&sig=abc%2Fdef", "abc%2Fdef"],
  ])("%j holds a secret that is told apart", (text, secret) => {
    const found = findSecrets(text).map(({ start, end }) => text.slice(start, end));
    if (secret === undefined) expect(found).toEqual([]);
    else expect(found).toContain(secret);
  });

  test.each([
    ["postgres://user:hunter2@db:5432/app", "hunter2"],
    ["see redis://:hunter2@cache/0, please", "hunter2"],
    ["jdbc:postgresql://u:a@b:c@host/db", "a@b:c"],
    ["https://user:pa/ss@host/", "pa/ss"],
    ["HTTPS://user:p%40ss@host/", "p%40ss"],
    ["postgresql+psycopg2://u:hunter2@h/d", "hunter2"],
  ])("%j is a URL with a password", (text, password) => {
    expect(findSecrets(text).map(({ value }) => value)).toContain(password);
  });

  test.each([
    "https://example.com:8080/a@b",
    "ssh://git@github.com/a/b.git",
    "http://[::1]:8080/x@y",
    "git@github.com:owner/repo.git",
    "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
    "/home/User1/projects/some/long/path/here",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "PASSWORD=$DB_PASSWORD ./run",
    "TOKEN=$(cat /run/token)",
    "MAX_TOKENS=100000",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "AKIA",
    "eyJ.eyJ.x",
    "the password is not here",
  ])("%j is left alone", (text) => {
    expect(findSecrets(text)).toEqual([]);
  });
});

test("a flag announces a secret only by a name that means one", () => {
  expect(["--password", "--api-key", "--auth-token", "--secret"].map(announcesSecret)).toEqual([
    true,
    true,
    true,
    true,
  ]);
  for (const word of ["--key", "-token", "-p", "password", "--passive", "--"])
    expect(announcesSecret(word)).toBe(false);
});
