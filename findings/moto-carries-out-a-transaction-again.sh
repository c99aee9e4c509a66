#!/usr/bin/env bash
# moto, which tests use in place of AWS: a TransactWriteItems request that is sent again with the same ClientRequestToken, as the SDKs
# do after a lost answer, is carried out a second time. According to DynamoDB's documentation, the second has no effect.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
pypi "moto[dynamodb]==5.2.5" boto3

said "$(python3 - <<'PYTHON'
import moto
print("moto", moto.__version__)
PYTHON
)"
counted=$(AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x python3 - <<'PYTHON'
import boto3
from moto import mock_aws

with mock_aws():
    dynamo = boto3.client("dynamodb")
    dynamo.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    key = {"id": {"S": "order-1"}}
    add = {
        "TableName": "t",
        "Key": key,
        "UpdateExpression": "ADD charges :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    for _ in range(2):
        dynamo.transact_write_items(TransactItems=[{"Update": add}], ClientRequestToken="token-1")
    print(dynamo.get_item(TableName="t", Key=key)["Item"]["charges"]["N"])
PYTHON
)
said "two requests of one token: $counted charges"
expect "$counted" 2
