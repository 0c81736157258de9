"""moto's ECS, mended where a control plane would be judged wrongly by it.

- RunTask honours its clientToken: the same request again is the same task, another one with it a ConflictException.
- A task begins as PROVISIONING and goes on when its agent says so, by SubmitTaskStateChange, as the agents of ECS do; it
  has times, a version and a stop code.
- StopTask asks a task to end. ListTasks has pages, shows running tasks by default, and takes startedBy alone only.
- A task may be in a network that CloudFormation has made, where moto gives an interface no name.
- DescribeTasks takes a hundred and tells those that are missing. A family without active revisions is not listed.
"""
import json, threading
from datetime import datetime, timezone

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ecs import models, responses
from moto.ecs.exceptions import ECSException, InvalidParameterException
from moto.core.responses import ActionResult
from moto.moto_api import state_manager

# Nothing but what is told below changes a task.
state_manager.set_transition("ecs::task", {"progression": "manual", "times": 10**9})

NetworkInterface.private_dns_name = ""
PAGE = 100
SPOT = "Your Spot Task was interrupted."
lock = threading.Lock()
tokens = {}  # (account, cluster, token) -> (the request, the answer's task ARNs)

backend = models.EC2ContainerServiceBackend
handler = responses.EC2ContainerServiceResponse
plain_requirements = backend._calculate_task_resource_requirements


class ConflictException(ECSException):
    __module__ = "moto.ecs.exceptions"  # where moto looks for the model of what is thrown

    def __init__(self, resource_ids):
        super().__init__("ConflictException", "the clientToken was used with other parameters")
        self.resourceIds = resource_ids


def now():
    return datetime.now(timezone.utc)


def changed(task):
    task.version = getattr(task, "version", 0) + 1


def requirements(definition):
    """A task of Fargate may say for itself alone what it needs."""
    for container in definition.container_definitions:
        container.setdefault("memory", int(definition.memory or 0))
    return plain_requirements(definition)


backend._calculate_task_resource_requirements = staticmethod(requirements)


def tasks_of(self):
    return {arn: task for tasks in self.ecs_backend.tasks.values() for arn, task in tasks.items()}


def run_task(self):
    cluster, token = self._get_param("cluster", "default"), self._get_param("clientToken")
    strategy = self._get_param("capacityProviderStrategy") or [{"capacityProvider": None}]
    provider = strategy[0]["capacityProvider"]
    key, request = (self.current_account, cluster, token), json.dumps(self.params, sort_keys=True, default=str)
    with lock:
        if token is not None and key in tokens:
            before, arns = tokens[key]
            if before != request:
                raise ConflictException(arns)
            return ActionResult({"tasks": [tasks_of(self)[arn] for arn in arns], "failures": []})
        tasks = self.ecs_backend.run_task(
            cluster, self._get_param("taskDefinition"), self._get_int_param("count", 1), self._get_param("overrides"),
            self._get_param("startedBy"), self._get_param("tags"),
            "FARGATE" if provider else self._get_param("launchType"),
            self._get_param("networkConfiguration"), self._get_param("group"), self._get_param("platformVersion"),
        )
        for task in tasks:
            task.status, task.created_at, task.capacity_provider_name = "PROVISIONING", now(), provider
            task.containers[0].exitCode = None
            changed(task)
        tokens[key] = (request, [task.task_arn for task in tasks])
    return ActionResult({"tasks": tasks, "failures": []})


def submit_task_state_change(self):
    task = tasks_of(self).get(self._get_param("task"))
    if task is None:
        raise InvalidParameterException("The referenced task was not found.")
    status, reason = self._get_param("status"), self._get_param("reason")
    if task.last_status == "STOPPED":
        return ActionResult({"acknowledgment": "late"})
    for told in self._get_param("containers") or []:
        container = task.containers[0]
        container.last_status = told.get("status", container.last_status)
        container.exitCode = told.get("exitCode")
        container.reason = told.get("reason")
    if status == "RUNNING":
        task.started_at = now()
    if status == "STOPPED":
        ends(task, reason)
        task.stopped_at = task.execution_stopped_at = now()
    elif reason:
        ends(task, reason)
        task.stopping_at = now()
    task.status = status
    changed(task)
    return ActionResult({"acknowledgment": "ok"})


def ends(task, reason):
    task.desired_status = "STOPPED"
    if getattr(task, "stop_code", None) is not None:
        return
    started = getattr(task, "started_at", None) is not None
    code = "EssentialContainerExited" if started else "TaskFailedToStart"
    task.stop_code = "SpotInterruption" if reason == SPOT else code
    task.stopped_reason = reason or "Essential container in task exited"


def stop_task(self):
    task = tasks_of(self).get(self._get_param("task"))
    if task is None:
        raise InvalidParameterException("The referenced task was not found.")
    if task.last_status != "STOPPED" and getattr(task, "stop_code", None) is None:
        task.desired_status = "STOPPED"
        task.stop_code = "UserInitiated"
        task.stopped_reason = self._get_param("reason") or "Task stopped by user"
        task.stopping_at = now()
        changed(task)
    return ActionResult({"task": task})


def describe_tasks(self):
    asked = self._get_param("tasks", [])
    if len(asked) > PAGE:
        raise InvalidParameterException("Tasks cannot be more than 100.")
    # Always with the tags: moto keeps whether they were asked for where all requests share it.
    self._include_in_response(responses.DESCRIBE_TASKS_TAGS)
    tasks = self.ecs_backend.describe_tasks(self._get_param("cluster", "default"), asked)
    known = {task.task_arn for task in tasks}
    failures = [{"arn": arn, "reason": "MISSING"} for arn in asked if arn not in known]
    return ActionResult({"tasks": tasks, "failures": failures})


def list_tasks(self):
    filters = {
        name: self._get_param(name)
        for name in ("containerInstance", "family", "startedBy", "serviceName", "desiredStatus")
        if self._get_param(name) is not None
    }
    if "startedBy" in filters and len(filters) > 1:
        raise InvalidParameterException("startedBy must be the only filter.")
    found = self.ecs_backend.list_tasks(
        self._get_param("cluster", "default"), filters.get("containerInstance"), filters.get("family"),
        filters.get("startedBy"), filters.get("serviceName"), filters.get("desiredStatus", "RUNNING"),
    )
    size = self._get_int_param("maxResults", PAGE)
    begin = int(self._get_param("nextToken") or 0)
    more = {"nextToken": str(begin + size)} if begin + size < len(found) else {}
    return ActionResult({"taskArns": [task.task_arn for task in found[begin : begin + size]], **more})


def list_task_definition_families(self):
    prefix, status = self._get_param("familyPrefix") or "", self._get_param("status")
    families = [
        family
        for family, revisions in self.ecs_backend.task_definitions.items()
        if family.startswith(prefix) and (status is None or any(one.status == status for one in revisions.values()))
    ]
    return ActionResult({"families": families})


for replacement in (
    run_task, submit_task_state_change, stop_task, describe_tasks, list_tasks, list_task_definition_families,
):
    setattr(handler, replacement.__name__, replacement)
