"""An AWS account on this machine, into which the CDK can deploy a whole home: moto's server with what that needs.

usage: python3 awsd.py PORT RUNNER
Listens on loopback; then AWS_ENDPOINT_URL=http://localhost:PORT (the name: its CloudFormation reads addresses of templates
so) with any credentials. RUNNER is an address that runs functions, see lambda-runner.ts. On top of moto-server.py:
- CloudFormation creates in the order of dependencies, knows DefinitionSubstitutions, keys for keyed hashes, an own bus and its archive. What moto
  cannot create becomes a placeholder, told on standard error as `PLACEHOLDER type name`, so that no deploy is quietly smaller.
- A function's deployed code is run by RUNNER, with the deployed environment; nobody waits for an invocation of the type Event.
- A table's stream reaches its functions as Lambda delivers it: what was committed, in order, in batches, through the
  mapping's filters, again from the first failure on. A window for gathering is cut to a quarter of a second.
- Rules of EventBridge deliver to functions and state machines.
- Who calls what of the services that speak JSON is told on standard error, once each, as `CALL access-key service action`.
"""
import base64, functools, hashlib, importlib.util, io, json, os, sys, tempfile, threading, time, urllib.request, zipfile
from datetime import datetime, timezone
from pathlib import Path

port, runner = sys.argv[1], sys.argv[2]
os.environ.update(AWS_ENDPOINT_URL=f"http://localhost:{port}", AWS_ACCESS_KEY_ID="lab", AWS_SECRET_ACCESS_KEY="lab", AWS_DEFAULT_REGION="us-east-1")



def say(line):
    """In one piece, whatever other threads have to say."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


spec = importlib.util.spec_from_file_location("moto_server", Path(__file__).with_name("moto-server.py"))
moto_server = importlib.util.module_from_spec(spec)
spec.loader.exec_module(moto_server)

from moto.stepfunctions import models as sfn
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

sfn.stepfunctions_backends = stepfunctions_parser_backends
_machine = sfn.StateMachine.create_from_cloudformation_json.__func__


def create_machine(cls, resource_name, cloudformation_json, *rest, **kw):
    properties = cloudformation_json["Properties"]
    for name, value in (properties.pop("DefinitionSubstitutions", None) or {}).items():
        properties["DefinitionString"] = properties["DefinitionString"].replace("${%s}" % name, str(value))
    return _machine(cls, resource_name, cloudformation_json, *rest, **kw)


sfn.StateMachine.create_from_cloudformation_json = classmethod(create_machine)

# --- CloudFormation ---

from moto.cloudformation import parsing

_diff = parsing.ResourceMap.build_resource_diff


def build_resource_diff(self, template, parameters=None):
    diff = _diff(self, template, parameters)
    resources, done, order = template["Resources"], set(), []

    def needs(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "Ref" and isinstance(value, str):
                    yield value
                elif key == "Fn::GetAtt":
                    yield value[0] if isinstance(value, list) else value.split(".")[0]
                elif key == "DependsOn":
                    yield from [value] if isinstance(value, str) else value
                else:
                    yield from needs(value)
        elif isinstance(node, list):
            for value in node:
                yield from needs(value)

    def visit(name):
        if name in done or name not in resources:
            return
        done.add(name)
        for other in needs(resources[name]):
            visit(other)
        order.append(name)

    for name in resources:
        visit(name)
    diff["Add"] = [name for name in order if name in diff["Add"]]
    return diff


parsing.ResourceMap.build_resource_diff = build_resource_diff


def tell_placeholder(kind, name):
    say(f"PLACEHOLDER {kind} {name}")


class Placeholder(parsing.CloudFormationModel):
    """Stands for a resource that moto cannot create."""

    __module__ = "moto.placeholder.models"  # moto files every model under its service

    def __init__(self, name, kind):
        self.physical_resource_id, self.type, self.name = name, kind, name

    def get_cfn_attribute(self, attribute):
        return f"arn:aws:placeholder:us-east-1:123456789012:{self.name}/{attribute}"

    def is_created(self):
        return True

    @classmethod
    def has_cfn_attr(cls, attr):
        return True

    @staticmethod
    def cloudformation_name_type():
        return ""

    @staticmethod
    def cloudformation_type():
        return "Placeholder"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        tell_placeholder(kwargs.get("ResourceType"), resource_name)
        return cls(resource_name, kwargs.get("ResourceType", ""))

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        pass


_class = parsing.resource_class_from_type
parsing.resource_class_from_type = lambda kind: _class(kind) or (None if kind in parsing.NULL_MODELS else Placeholder)
_create = parsing.parse_and_create_resource


def parse_and_create_resource(logical_id, resource_json, *rest, **kw):
    try:
        return _create(logical_id, resource_json, *rest, **kw)
    except Exception as error:
        tell_placeholder(resource_json["Type"], f"{logical_id}: {type(error).__name__} {error}")
        made = Placeholder(logical_id, resource_json["Type"])
        made.cf_resource_type, made.logical_resource_id = resource_json["Type"], logical_id
        return made


parsing.parse_and_create_resource = parse_and_create_resource

from moto.cloudformation import models as cloudformation

_execute_change_set = cloudformation.CloudFormationBackend.execute_change_set


def execute_change_set(self, change_set_name, stack_name=None):
    _execute_change_set(self, change_set_name, stack_name)
    for stack in self.stacks.values():
        # The outputs are those of the template that the stack had before.
        if stack.template:
            stack._parse_template()
            stack.output_map = stack._create_output_map()


cloudformation.CloudFormationBackend.execute_change_set = execute_change_set

from moto.kms import models as kms


def create_key(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    properties = cloudformation_json["Properties"]
    key = kms.kms_backends[account_id][region_name].create_key(
        policy=json.dumps(properties["KeyPolicy"]),
        key_usage=properties.get("KeyUsage", "ENCRYPT_DECRYPT"),
        key_spec=properties.get("KeySpec", "SYMMETRIC_DEFAULT"),
        description=properties.get("Description"),
        tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in properties.get("Tags", [])],
    )
    key.key_rotation_status = properties.get("EnableKeyRotation", False)
    return key


kms.Key.create_from_cloudformation_json = classmethod(create_key)

# --- EventBridge ---

from moto.events import models as ev

_archive = ev.EventsBackend.create_archive


def create_archive(self, name, source_arn, description=None, event_pattern=None, retention=None, *rest, **kw):
    if isinstance(event_pattern, dict):
        event_pattern = json.dumps(event_pattern)
    return _archive(self, name, source_arn, description, event_pattern, retention, *rest, **kw)


ev.EventsBackend.create_archive = create_archive
# Without it a reference to a bus in a template is the bus itself.
ev.EventBus.physical_resource_id = property(lambda self: self.name)
ev.Archive.physical_resource_id = property(lambda self: self.name)
_send = ev.Rule.send_to_targets


def send_to_targets(self, original_event, transform_input=True):
    mine = [t for t in self.targets if ":lambda:" in t["Arn"] or ":states:" in t["Arn"]]
    rest = [t for t in self.targets if t not in mine]
    if mine and self.event_pattern.matches_event(original_event):
        told = {k: v for k, v in original_event.items() if k != "replay-name"}
        told["time"] = datetime.fromtimestamp(float(told["time"]), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = json.dumps(told, default=str)
        for target in mine:
            threading.Thread(target=deliver, args=(target["Arn"], target.get("Input") or body), daemon=True).start()
    keep, self.targets = self.targets, rest
    try:
        if rest:
            _send(self, original_event, transform_input)
    finally:
        self.targets = keep


ev.Rule.send_to_targets = send_to_targets


def deliver(arn, body):
    if ":lambda:" in arn:
        function_of(arn)._invoke_lambda(json.loads(body))
    else:
        import boto3

        boto3.client("stepfunctions").start_execution(stateMachineArn=arn, input=body)


# --- Lambda ---

from moto.awslambda import models as awslambda
from moto.awslambda.utils import get_backend

code_root = tempfile.mkdtemp(prefix="code-")
code_lock = threading.Lock()


def function_of(arn):
    return get_backend(arn.split(":")[4], arn.split(":")[3])._lambdas.get_arn(arn)


def code_of(function):
    """Where the deployed archive is unpacked: once for each."""
    place = os.path.join(code_root, hashlib.sha256(function.code_bytes).hexdigest()[:32])
    with code_lock:
        if not os.path.exists(place):
            zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(place)
    return place


def invoke(function, event=None):
    call = {
        "name": function.function_name,
        "handler": function.handler,
        "runtime": function.run_time,
        "memoryMiB": function.memory_size,
        "timeoutSeconds": function.timeout,
        "environment": function.environment_vars,
        "code": code_of(function),
        "event": event,
    }
    request = urllib.request.Request(runner, data=json.dumps(call, default=str).encode(), headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        answer = json.load(response)
    return answer["payload"], answer["failed"], answer["logs"]


awslambda.LambdaFunction._invoke_lambda = invoke
_invoke_and_wait = awslambda.LambdaFunction.invoke


def invoke_as_asked(self, body, request_headers, response_headers):
    if request_headers.get("x-amz-invocation-type") != "Event":
        return _invoke_and_wait(self, body, request_headers, response_headers)
    threading.Thread(target=self._invoke_lambda, args=(json.loads(body),), daemon=True).start()
    return ""


awslambda.LambdaFunction.invoke = invoke_as_asked

# --- the streams of tables ---

from moto.core.utils import unix_time
from moto.dynamodb import responses
from moto.dynamodb.models import table as tables

pending = threading.local()
queues = {}
MAX_RETRIES = 20
MAX_WINDOW_SECONDS = 0.25
RETRY_SECONDS = 0.1


def add(self, old, new):
    """A record of a write, kept until the whole call has been done: a transaction that is refused has written nothing."""
    name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
    self.count = getattr(self, "count", 0) + 1
    kind = self.table.stream_specification["StreamViewType"]
    record = tables.StreamRecord(self.table, kind, name, old, new, self.starting_sequence_number + time.time_ns()).to_json()
    pending.records.append((list(self.table.lambda_event_source_mappings.values()), record))


tables.StreamShard.add = add


def committed(method):
    @functools.wraps(method)
    def call(*args, **kwargs):
        pending.records = []
        # Inside the lock of the tables, so that records leave in the order of the commits.
        with moto_server.lock:
            answer = method(*args, **kwargs)
            for mappings, record in pending.records:
                for mapping in mappings:
                    queue_of(mapping).put(record)
        return answer

    return call


for action in ("batch_write_item", "delete_item", "put_item", "transact_write_items", "update_item"):
    setattr(responses.DynamoHandler, action, committed(getattr(responses.DynamoHandler, action)))


def queue_of(mapping):
    import queue

    if mapping.uuid not in queues:
        queues[mapping.uuid] = queue.Queue()
        threading.Thread(target=pump, args=(mapping, queues[mapping.uuid]), daemon=True).start()
    return queues[mapping.uuid]


def matches(pattern, value):
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(matches(inner, value.get(key)) for key, inner in pattern.items())
    for one in pattern:
        if isinstance(one, dict):
            if set(one) != {"prefix"}:
                raise ValueError(f"the lab knows no filter {one}")
            if isinstance(value, str) and value.startswith(one["prefix"]):
                return True
        elif one == value:
            return True
    return False


def pump(mapping, queue):
    import queue as queues_of_python

    filters = [json.loads(one["Pattern"]) for one in (mapping.filter_criteria or {}).get("Filters", [])]
    window = min(float(mapping.max_batch_window or 0), MAX_WINDOW_SECONDS)
    partial = "ReportBatchItemFailures" in (mapping.function_response_types or [])
    while True:
        batch, deadline = [queue.get()], time.monotonic() + window
        while len(batch) < mapping.batch_size:
            try:
                left = deadline - time.monotonic()
                batch.append(queue.get(timeout=left) if left > 0 else queue.get_nowait())
            except queues_of_python.Empty:
                break
        batch = [event_of(mapping, record) for record in batch]
        batch = [record for record in batch if not filters or any(matches(pattern, record) for pattern in filters)]
        for _ in range(MAX_RETRIES):
            if not batch:
                break
            payload, failed, _ = invoke(function_of(mapping.function_arn), {"Records": batch})
            if failed:
                time.sleep(RETRY_SECONDS)
                continue
            failures = (json.loads(payload or "null") or {}).get("batchItemFailures", []) if partial else []
            places = {record["dynamodb"]["SequenceNumber"]: at for at, record in enumerate(batch)}
            again = [places.get(failure["itemIdentifier"], 0) for failure in failures]
            batch = batch[min(again):] if again else []
            if batch:
                time.sleep(RETRY_SECONDS)
        if batch:
            say(f"DROPPED {len(batch)} records for {mapping.function_arn}")


def event_of(mapping, record):
    dynamodb = dict(record["dynamodb"])
    dynamodb["ApproximateCreationDateTime"] = unix_time(dynamodb["ApproximateCreationDateTime"])
    return {**record, "dynamodb": dynamodb, "eventSourceARN": mapping.event_source_arn}


# --- who calls what ---

import re

from moto.core.responses import BaseResponse

_dispatch = BaseResponse._dispatch
told = set()


def dispatch(self, request, full_url, headers):
    signed = re.search(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/", headers.get("Authorization", ""))
    action = headers.get("X-Amz-Target", "").split(".")[-1]
    if signed and action and (signed[1], signed[2], action) not in told:
        told.add((signed[1], signed[2], action))
        say(f"CALL {signed[1]} {signed[2]} {action}")
    return _dispatch(self, request, full_url, headers)


BaseResponse._dispatch = dispatch

if __name__ == "__main__":
    from moto.server import main

    main(["-H", "127.0.0.1", "-p", port])
