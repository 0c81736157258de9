"""moto's server, mended where a control plane would be judged wrongly by it.

usage: python3 moto-server.py PORT   (listens on loopback; then AWS_ENDPOINT_URL=http://localhost:PORT with any credentials)
- A DynamoDB transaction is isolated: moto restores its copy of the whole table after a refused one, and with it takes
  away what others wrote meanwhile. Here one call at a time works on the tables.
- TransactWriteItems' ClientRequestToken is honoured: the same token again is the same transaction, done once.
- A state machine really runs.
"""
import functools, sys, threading

from moto.core.config import default_user_config

default_user_config["stepfunctions"]["execute_state_machine"] = True

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

import moto_ecs  # its ECS, mended there

if __name__ == "__main__":
    from moto.server import main

    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
