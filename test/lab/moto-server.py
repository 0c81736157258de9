"""moto's server, mended where a control plane would be judged wrongly by it.

usage: python3 moto-server.py PORT   (listens on loopback; then AWS_ENDPOINT_URL=http://localhost:PORT with any credentials)
- A DynamoDB transaction is isolated: moto restores its copy of the whole table after a refused one, and with it takes
  away what others wrote meanwhile. Here one call at a time works on the tables, and a refused transaction restores the items
  that it touched: a copy of the whole table for each would make every commit slower than the one before.
- TransactWriteItems' ClientRequestToken is honoured: the same token again is the same transaction, done once.
- A state machine really runs, more than once at a time. A function `loopback-PORT-NAME` in it is an HTTP POST to /NAME on that port: a test's own
  handler, whose answer 500 with `{"errorType", "errorMessage"}` is a failure of the function.
- KMS tells a ciphertext of another key than the one named as IncorrectKeyException; moto calls that a missing right.
- An event's template is parsed once, not for every event: half a second each.
"""
import copy, functools, io, re, sys, threading, urllib.error, urllib.request

from moto.core.config import default_user_config

default_user_config["stepfunctions"]["execute_state_machine"] = True

from moto.stepfunctions.models import StateMachine

# moto copies a machine with all its executions for each new one, and cannot while one of them runs.
StateMachine.__deepcopy__ = lambda self, memo: copy.copy(self)

from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils

_client_for = lambda_eval_utils.boto_client_for


class Loopback:
    def __init__(self, real):
        self.real = real

    def invoke(self, **parameters):
        found = re.fullmatch(r"loopback-(\d+)-(\w+)", parameters["FunctionName"])
        if not found:
            return self.real.invoke(**parameters)
        port, name = found.groups()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{name}", data=parameters["Payload"].encode() if isinstance(parameters["Payload"], str) else parameters["Payload"])
        answer = {"StatusCode": 200, "ExecutedVersion": "$LATEST", "ResponseMetadata": {"HTTPHeaders": {}}}
        try:
            with urllib.request.urlopen(request) as response:
                return {**answer, "Payload": io.BytesIO(response.read())}
        except urllib.error.HTTPError as error:
            return {**answer, "FunctionError": "Unhandled", "Payload": io.BytesIO(error.read())}


def client_for(*args, **kwargs):
    real = _client_for(*args, **kwargs)
    return Loopback(real) if "lambda" in (*args, *kwargs.values()) else real


lambda_eval_utils.boto_client_for = client_for

from moto.core.exceptions import JsonRESTError
from moto.kms import models as kms_models

_decrypt = kms_models.KmsBackend.decrypt


def decrypt(self, ciphertext_blob, encryption_context, key_id=None):
    plaintext, arn = _decrypt(self, ciphertext_blob, encryption_context)
    if key_id is not None and self.keys[self.any_id_to_key_id(key_id)].arn != arn:
        raise JsonRESTError("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
    return plaintext, arn


kms_models.KmsBackend.decrypt = decrypt

import jsonpath_ng.ext

jsonpath_ng.ext.parse = functools.cache(jsonpath_ng.ext.parse)

from moto.dynamodb import responses

lock = threading.RLock()
done = set()  # the tokens of what was committed


def isolated(method):
    @functools.wraps(method)
    def call(*args, **kwargs):
        with lock:
            return method(*args, **kwargs)

    return call


def once(method):
    @functools.wraps(method)
    def call(self):
        token = (self.current_account, self.body.get("ClientRequestToken"))
        if token in done:
            return responses.ActionResult({})
        answer = method(self)
        if token[1] is not None:
            done.add(token)
        return answer

    return call


handler = responses.DynamoHandler
handler.transact_write_items = once(handler.transact_write_items)
for action in (
    "batch_get_item", "batch_write_item", "delete_item", "get_item", "put_item",
    "query", "scan", "transact_get_items", "transact_write_items", "update_item",
):
    setattr(handler, action, isolated(getattr(handler, action)))

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

_transact = DynamoDBBackend.transact_write_items
transacting = threading.local()


def copy_of_table(self, memo):
    if getattr(transacting, "now", False):
        return self
    copied = self.__class__.__new__(self.__class__)
    memo[id(self)] = copied
    for name, value in self.__dict__.items():
        setattr(copied, name, copy.deepcopy(value, memo))
    return copied


def touched(backend, operations):
    """The items of a transaction as they are before it: where they are, and a copy or None."""
    for operation in operations:
        op = next(iter(operation.values()))
        table = backend.tables.get(op.get("TableName"))
        place = op.get("Key") or op.get("Item") or {}
        if table is not None and all(name in place for name in table.table_key_attrs):
            keys = [DynamoType(place[name]) for name in table.table_key_attrs]
            yield table, keys, copy.deepcopy(table.get_item(*keys))


def transact(self, transact_items):
    before = list(touched(self, transact_items))
    transacting.now = True
    try:
        return _transact(self, transact_items)
    except BaseException:
        for table, keys, item in before:
            items, key = (table.items[keys[0]], keys[1]) if len(keys) == 2 else (table.items, keys[0])
            if item is None:
                items.pop(key, None)
            else:
                items[key] = item
        raise
    finally:
        transacting.now = False


Table.__deepcopy__ = copy_of_table
DynamoDBBackend.transact_write_items = transact

sys.dont_write_bytecode = True  # not beside the sources
import moto_ecs  # its ECS, mended there

if __name__ == "__main__":
    from moto.server import main

    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
