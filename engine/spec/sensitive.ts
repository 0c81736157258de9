/** Words that mean a secret wherever they stand in a name; tested against the name without its separators. */
const ANYWHERE = /PASSW(?:OR)?D|PASSPHRASE|PASSCODE|SECRET|CREDENTIAL|CONN(?:ECTION)?STR|PRIVATEKEY/;

/** KEY and its kind as the end of one word, as in APIKEY; MONKEY, HOTKEY and KEYBOARD are none of these. */
const KIND_OF_KEY =
  /(?:API|ACCESS|ACCOUNT|ADMIN|APP|AUTH|CLIENT|CRYPT|ENCRYPTION|HMAC|LICENSE|MASTER|SERVICE|SESSION|SHARED|SIGNING|SSH|STORAGE|SUBSCRIPTION)KEYS?$/;
const WORD = /^(?:.*TOKENS?|.*DSN|CREDS?|JWT|BEARER|AUTHORIZATION|MNEMONIC)$/;

/** Words that mean a secret unless the name says that its value is something about one. */
const WEAK_WORD =
  /^(?:KEYS?|(?:BASIC|HTTP|PROXY|REGISTRY)?O?AUTH|PASS|.*PWD|COOKIES?|OTP|PAT|PEPPER|PIN|PRIVATE|SALT|SAS|(?:DB|USER|ROOT|ADMIN|SMTP|MAIL|FTP|LDAP|REDIS|MYSQL|PG|SQL|MONGO)PASS)$/;
const ABOUT_ONE =
  /^(?:COUNT|DIR|DIRECTORY|DOMAIN|ENABLED|ENDPOINT|EXPIRY|FILE|FORMAT|HOST|ISSUER|LENGTH|METHOD|MODE|PATH|PORT|PREFIX|PROVIDER|SIZE|SOCK|TTL|TYPE|URI|URL)$/;

/** Names that hold one of the words and no secret. */
const HARMLESS = /^(?:PWD|OLD_?PWD|.*PUBLIC_?KEYS?|(?:.*_)?(?:MAX|MIN|NUM)(?:_\w+)?_TOKENS|TOKENIZERS?_.*)$/;

function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1_$2")
    .toUpperCase()
    .split(/[^A-Z]+/)
    .filter((word) => word !== "");
}

/**
 * Tells by its name whether a variable holds a secret: PASSWORD, PASSWD, PWD, SECRET, TOKEN, KEY, CREDENTIAL, DSN,
 * AUTH, PRIVATE, CONNECTION_STRING and their kin, in any case and with any separators. In doubt it says yes.
 */
export function isSensitiveName(name: string): boolean {
  const words = wordsOf(name);
  if (isStrong(words)) return true;
  if (HARMLESS.test(words.join("_"))) return false;
  return words.some((word) => WEAK_WORD.test(word)) && !ABOUT_ONE.test(words.at(-1) ?? "");
}

function isStrong(words: readonly string[]): boolean {
  if (ANYWHERE.test(words.join(""))) return true;
  if (HARMLESS.test(words.join("_"))) return false;
  // KEY after its kind, in one word or two; two words that merely meet, as in API KEYBOARD, end otherwise.
  return words.some((word, index) => WORD.test(word) || KIND_OF_KEY.test((words[index - 1] ?? "") + word));
}

// Every pattern begins where a run begins or has bounded repetitions: a spec of 256 KiB must not make them slow.
const PATTERNS: readonly RegExp[] = [
  /-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END)[\s\S])*(?:-----END [A-Z0-9 ]{1,80}-----)?/g,
  /PuTTY-User-Key-File-[\s\S]*/g,
  /(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*(?:\.[\w-]+){0,2}/g,
  /(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])/g,
  /(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{22,}|glpat-[\w-]{20,}|npm_[A-Za-z0-9]{36})/g,
  /(?<![A-Za-z0-9])(?:xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{10,})/g,
  /https:\/\/hooks\.slack\.com\/(?:services|workflows)\/[\w/-]+/g,
  /(?<![A-Za-z0-9])(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}/g,
  /(?<![A-Za-z0-9_-])(?:sk-[\w-]{20,}|AIza[\w-]{35}|hvs\.[\w-]{20,}|dckr_pat_[\w-]{20,}|SG\.[\w-]{16,32}\.[\w-]{16,64})/g,
];
const AWS_SECRET = /(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])/g;
const URL_PASSWORD =
  /(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:@/?#"'[]{0,256}:(?!\d{1,5}[/?#])([^\s"'<>]{1,1024})@[^\s"'<>]*/gi;
const URL_QUERY =
  /[?&](?:access_token|api_?key|client_secret|password|secret|sig|signature|token|x-amz-(?:security-token|signature))=([^\s&"'<>#]+)/gi;
/** In a shell `PWD=` is a directory; between semicolons it is a password. */
const CONNECTION_PWD = /;\s{0,8}pwd=([^;\s"']+)/gi;
const ASSIGNMENT = /(?<![\w-])-{0,2}([A-Za-z_][\w-]*)[=]("[^"]*"|'[^']*'|[^\s;&|"'<>]+)/g;
const FLAG = /^--([A-Za-z][\w-]*)$/;

/** Random base64 has about 4.7 bits a character in 40 of them; paths and words stay well under 4.3. */
const LEAST_ENTROPY = 4.3;

function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}

/** Where a text holds a secret: what to hide of it (a URL with its password) and what must not be seen elsewhere. */
export interface FoundSecret {
  start: number;
  end: number;
  value: string;
}

/**
 * The parts of a text that look like secrets whatever they are called: private keys, JWTs, AWS keys, the tokens of
 * well-known services, URLs with a password, and `password=…` in connection strings, commands and flags.
 */
export function findSecrets(text: string): FoundSecret[] {
  const found: FoundSecret[] = [];
  const add = (start: number, whole: string, value = whole) =>
    void found.push({ start, end: start + whole.length, value });
  for (const pattern of PATTERNS) {
    for (const match of text.matchAll(pattern)) add(match.index, match[0]);
  }
  for (const match of text.matchAll(AWS_SECRET)) {
    const mixed = /[a-z]/.test(match[0]) && /[A-Z]/.test(match[0]) && /[0-9/+]/.test(match[0]);
    if (mixed && entropy(match[0]) >= LEAST_ENTROPY) add(match.index, match[0]);
  }
  for (const match of text.matchAll(URL_PASSWORD)) add(match.index, match[0], match[1]);
  for (const pattern of [URL_QUERY, CONNECTION_PWD]) {
    for (const match of text.matchAll(pattern)) {
      const value = match[1] ?? "";
      add(match.index + match[0].length - value.length, value);
    }
  }
  for (const match of text.matchAll(ASSIGNMENT)) {
    const written = match[2] ?? "";
    const quotes = /^["']/.test(written) ? 1 : 0;
    const value = written.slice(quotes, written.length - quotes);
    // `$NAME` and `$(…)` are references: the value is elsewhere.
    if (value === "" || value.startsWith("$") || !isStrong(wordsOf(match[1] ?? ""))) continue;
    add(match.index + match[0].length - written.length + quotes, value);
  }
  return found;
}

/** Whether a word of a command announces a secret as its next word: `--password`, `--api-key`. */
export function announcesSecret(word: string): boolean {
  const name = FLAG.exec(word)?.[1];
  return name !== undefined && isStrong(wordsOf(name));
}
