import { dynamodbContract } from "./dynamodb/contract.ts";

// Few histories: moto copies the whole table for every transaction.
dynamodbContract("aws", { title: "dynamodb on moto", randomRuns: 5 });
