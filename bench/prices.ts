/** A list price, US dollars, of us-east-1. */
export interface Price {
  usd: number;
  /** How many of what it is the price of. */
  per: number;
  source: string;
}

/** When the prices were looked up; each is at its source. Free tiers and discounts are left out. */
export const PRICES_OF = "November 2026";

const MILLION = 1_000_000;

export const PRICES = {
  /** State transitions of Standard workflows. */
  transitions: { usd: 25, per: MILLION, source: "https://aws.amazon.com/step-functions/pricing/" },
  /** On demand, table class Standard; since 1 November 2024. */
  writeUnits: { usd: 0.625, per: MILLION, source: "https://aws.amazon.com/dynamodb/pricing/on-demand/" },
  readUnits: { usd: 0.125, per: MILLION, source: "https://aws.amazon.com/dynamodb/pricing/on-demand/" },
  invocations: { usd: 0.2, per: MILLION, source: "https://aws.amazon.com/lambda/pricing/" },
  /** On arm64, the first step of the scale. */
  gbSeconds: { usd: 13.3334, per: MILLION, source: "https://aws.amazon.com/lambda/pricing/" },
  /** REST API, the first step of the scale. */
  apiRequests: { usd: 3.5, per: MILLION, source: "https://aws.amazon.com/api-gateway/pricing/" },
  /** Events that the home puts on its bus, each up to 64 KiB. */
  busEvents: { usd: 1, per: MILLION, source: "https://aws.amazon.com/eventbridge/pricing/" },
  kmsRequests: { usd: 0.03, per: 10_000, source: "https://aws.amazon.com/kms/pricing/" },
  s3Puts: { usd: 0.005, per: 1000, source: "https://aws.amazon.com/s3/pricing/" },
  s3Gets: { usd: 0.0004, per: 1000, source: "https://aws.amazon.com/s3/pricing/" },
  logGb: { usd: 0.5, per: 1, source: "https://aws.amazon.com/cloudwatch/pricing/" },
} as const satisfies Record<string, Price>;

/** Dollars for a million times so many. */
export function perMillion(what: keyof typeof PRICES, count: number): number {
  const { usd, per } = PRICES[what];
  return (usd / per) * count * MILLION;
}
