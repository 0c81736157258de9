import { dynamodbContract } from "./dynamodb/contract.ts";

dynamodbContract("dynamodb", { title: "dynamodb on DynamoDB Local", randomRuns: 30 });
