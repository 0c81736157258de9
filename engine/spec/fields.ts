import * as z from "zod";
import { imageProblem, MAX_REFERENCE } from "./image.ts";
import { SECRET_SCHEMES, SPEC_LIMITS } from "./limits.ts";

const LABEL_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?$/;
const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const USER_PART = /^(?:[A-Za-z_][A-Za-z0-9_.-]{0,31}|\d{1,10})$/;
const MAX_ID = 2 ** 31 - 1;

// What a check says in code its `meta` says once more in the words of JSON Schema, as far as that has them: the published
// description of the API is made of it (`functions/api`), and a request that it forbids is one that the check refuses.

/** A path without `..` as a part. */
const NO_PARENT = String.raw`^(?!(?:[\s\S]*[/\\])?\.\.(?:[/\\]|$))`;
/** A path of slashes and dots only is the root. */
const NOT_ROOT = String.raw`(?!(?:/\.?)*$)`;
const LABEL_KEY = `^(?:(?=[^/]{1,${SPEC_LIMITS.labelPrefixLength}}/)${bare(DNS_LABEL)}(?:\\.${bare(DNS_LABEL)})*/)?(?=[^/]{1,${SPEC_LIMITS.labelLength}}$)${bare(LABEL_NAME)}$`;

/** A pattern without its anchors. */
function bare({ source }: RegExp): string {
  return source.slice(1, -1);
}

/** A check with a stable code of its own; the message must never repeat the value. */
export function rule(code: string, message: string): { error: string; params: { code: string } } {
  return { error: message, params: { code } };
}

const atMost = (max: number, unit = "characters") => `must have at most ${max} ${unit}`;

/** Text of bounded length, in UTF-16 units. */
const text = (max: number, min = 1) => z.string().min(min).max(max);

/** A whole number inside inclusive bounds. */
export const whole = (min: number, max: number) => z.int().min(min).max(max);

export const dnsLabel = text(SPEC_LIMITS.nameLength)
  .refine(
    (value) => DNS_LABEL.test(value),
    rule("invalid_name", "must be a DNS label: 1 to 63 of [a-z0-9-], beginning and ending with a letter or a digit"),
  )
  .meta({ pattern: DNS_LABEL.source });

export const image = z
  .string()
  .superRefine((value, context) => {
    const problem = imageProblem(value);
    if (problem !== undefined) {
      context.addIssue({ code: "custom", message: problem, params: { code: "malformed_image" } });
    }
  })
  .meta({ minLength: 1, maxLength: MAX_REFERENCE });

const hasParent = (path: string) => path.split(/[/\\]/).includes("..");
const isRoot = (path: string) => path.split("/").every((segment) => segment === "" || segment === ".");

/** A path without `..`; a backslash counts as a separator, whatever the runtime makes of it. */
export const safePath = text(SPEC_LIMITS.pathLength)
  .refine((path) => !hasParent(path), rule("path_traversal", "must not contain .. as a part of the path"))
  .meta({ pattern: NO_PARENT });

/** Where two fields of one mount meet in one text, a colon would move the border between them. */
const withoutColon = rule("invalid_path", "must not contain a colon");

export const absolutePath = safePath
  .refine((path) => path.startsWith("/"), rule("not_absolute", "must be an absolute path"))
  .meta({ pattern: `${NO_PARENT}/` });

export const mountSource = absolutePath
  .refine((path) => !path.includes(":"), withoutColon)
  .meta({ pattern: `${NO_PARENT}/[^:]*$` });
export const mountTarget = mountSource
  .refine((path) => !isRoot(path), rule("mount_over_root", "must not be the root directory"))
  .meta({ pattern: `${NO_PARENT}${NOT_ROOT}/[^:]*$` });

const argument = z
  .string()
  .refine(
    (value) => Buffer.byteLength(value) <= SPEC_LIMITS.argumentBytes,
    rule("too_big", atMost(SPEC_LIMITS.argumentBytes, "bytes")),
  )
  .meta({ maxLength: SPEC_LIMITS.argumentBytes });
export const argumentList = z.array(argument).max(SPEC_LIMITS.arguments);
export const commandLine = argumentList
  .min(1)
  .refine((command) => command[0] !== "", rule("too_small", "the first part names the program and must not be empty"));

export const envName = z
  .string()
  .min(1, "a variable's name must not be empty")
  .max(SPEC_LIMITS.envNameLength, `a variable's name has at most ${SPEC_LIMITS.envNameLength} characters`)
  .refine((name) => !name.includes("="), rule("invalid_env_name", "a variable's name must not contain ="))
  .meta({ pattern: "^[^=]+$" });

/** Bytes of an environment as the kernel counts them: `NAME=value` and a NUL for each variable. */
export function envBytes(env: Readonly<Record<string, string>>): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(env)) bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
  return bytes;
}

export const env = z
  .record(envName, z.string())
  .superRefine((value, context) => {
    const count = Object.keys(value).length;
    if (count > SPEC_LIMITS.envVariables) {
      const message = `at most ${SPEC_LIMITS.envVariables} variables, the spec has ${count}`;
      context.addIssue({ code: "custom", message, params: { code: "too_many_variables" } });
    }
    const bytes = envBytes(value);
    if (bytes > SPEC_LIMITS.envBytes) {
      const message = `at most ${SPEC_LIMITS.envBytes} bytes of names and values, the spec has ${bytes}`;
      context.addIssue({ code: "custom", message, params: { code: "too_many_bytes" } });
    }
  })
  .meta({ maxProperties: SPEC_LIMITS.envVariables });

/** `scheme:rest`, where the value is; never the value itself. */
const secretSource = text(SPEC_LIMITS.pathLength)
  .superRefine((from, context) => {
    const problem = sourceProblem(from);
    if (problem !== undefined) {
      context.addIssue({ code: "custom", message: problem, params: { code: "invalid_secret_source" } });
    }
  })
  .meta({ pattern: `^(?:${SECRET_SCHEMES.join("|")}):[\\s\\S]` });

function sourceProblem(from: string): string | undefined {
  const colon = from.indexOf(":");
  const scheme = from.slice(0, Math.max(colon, 0));
  const rest = from.slice(colon + 1);
  // The text is not repeated: whoever mistakes `from` for the value itself has put a secret here.
  if (!(SECRET_SCHEMES as readonly string[]).includes(scheme)) {
    return `must be a reference such as env:NAME; the schemes are ${SECRET_SCHEMES.join(", ")}`;
  }
  if (rest === "") return `${scheme}: must be followed by what it refers to`;
  if (scheme === "env" && !envName.safeParse(rest).success) return "env: must be followed by a variable's name";
  if (scheme === "file" && !absolutePath.safeParse(rest).success) {
    return "file: must be followed by an absolute path without ..";
  }
  return undefined;
}

export const secretRef = z.strictObject({ from: secretSource });
export const secrets = z
  .record(envName, secretRef)
  .superRefine((value, context) => {
    const count = Object.keys(value).length;
    if (count <= SPEC_LIMITS.secrets) return;
    const message = `at most ${SPEC_LIMITS.secrets} secrets, the spec has ${count}`;
    context.addIssue({ code: "custom", message, params: { code: "too_many_secrets" } });
  })
  .meta({ maxProperties: SPEC_LIMITS.secrets });

function isLabelKey(key: string): boolean {
  const slash = key.indexOf("/");
  const prefix = key.slice(0, Math.max(slash, 0));
  const name = key.slice(slash + 1);
  if (name.length > SPEC_LIMITS.labelLength || !LABEL_NAME.test(name)) return false;
  if (slash < 0) return true;
  return prefix.length <= SPEC_LIMITS.labelPrefixLength && prefix.split(".").every((part) => DNS_LABEL.test(part));
}

const labelKey = z
  .string()
  .refine(
    isLabelKey,
    rule("invalid_label", "a label's key is 1 to 63 of [A-Za-z0-9_.-], after a DNS name and / where one is wanted"),
  )
  .meta({ pattern: LABEL_KEY });

export const labelValue = z
  .string()
  .max(SPEC_LIMITS.labelLength)
  .refine(
    (value) => value === "" || LABEL_NAME.test(value),
    rule("invalid_label", "must be empty or of [A-Za-z0-9_.-], beginning and ending with a letter or a digit"),
  )
  .meta({ pattern: `^(?:${bare(LABEL_NAME)})?$` });

export const labels = z
  .record(labelKey, labelValue)
  .superRefine((value, context) => {
    const count = Object.keys(value).length;
    if (count > SPEC_LIMITS.labels) {
      const message = `at most ${SPEC_LIMITS.labels} labels, the spec has ${count}`;
      context.addIssue({ code: "custom", message, params: { code: "too_many_labels" } });
    }
    // What a label is made of is ASCII: a character is a byte.
    const bytes = Object.entries(value).reduce((sum, [key, text]) => sum + key.length + text.length, 0);
    if (bytes > SPEC_LIMITS.labelBytes) {
      const message = `at most ${SPEC_LIMITS.labelBytes} bytes of keys and values, the spec has ${bytes}`;
      context.addIssue({ code: "custom", message, params: { code: "too_many_bytes" } });
    }
  })
  .meta({ maxProperties: SPEC_LIMITS.labels });

/** `user`, `uid`, and either with `:group` or `:gid`. */
export const user = z
  .string()
  .refine(
    (value) => {
      const parts = value.split(":");
      if (parts.length > 2) return false;
      return parts.every((part) => USER_PART.test(part) && !(/^\d/.test(part) && Number(part) > MAX_ID));
    },
    rule("invalid_user", "must be a user's name or id, where wanted with a colon and a group's name or id"),
  )
  .meta({ pattern: `^${bare(USER_PART)}(?::${bare(USER_PART)})?$` });

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;
export const concurrencyKey = z
  .string()
  .min(1)
  .refine(
    (key) => Buffer.byteLength(key) <= SPEC_LIMITS.concurrencyKeyBytes,
    rule("too_big", atMost(SPEC_LIMITS.concurrencyKeyBytes, "bytes")),
  )
  .refine((key) => !CONTROL.test(key), rule("invalid_key", "must not contain control characters"))
  .meta({ maxLength: SPEC_LIMITS.concurrencyKeyBytes, pattern: String.raw`^[^\u0000-\u001f\u007f]*$` });

export const linuxCapability = z
  .string()
  .regex(/^[A-Z][A-Z0-9_]{0,63}$/, "must be a Linux capability such as NET_ADMIN");
