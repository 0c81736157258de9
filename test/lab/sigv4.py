"""Computes the signatures that requests must have, with botocore's own signer: another implementation than the client's.

Reads JSON lines `{"id", "secret", "token", "method", "target", "headers", "signed", "scope", "body"}` and answers each with
`{"id", "signature"}`. What is computed is of the request as it arrived: its path with every escape as it was on the wire,
its query decoded and encoded again (a plus is a plus), those of its headers that are named as signed, the very bytes of
its body (base64).
"""
import base64, json, sys
from urllib.parse import quote, unquote_to_bytes

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def encoded(text):
    return quote(unquote_to_bytes(text), safe="-_.~")


def signature(call):
    _, region, service, _ = call["scope"].split("/")
    headers = {name: call["headers"][name] for name in call["signed"]}
    path, _, query = call["target"].partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    again = "&".join(f"{encoded(name)}={encoded(value)}" for name, _, value in pairs)
    url = f"https://{call['headers'].get('host', '')}{path}?{again}"
    request = AWSRequest(method=call["method"], url=url, headers=headers, data=base64.b64decode(call["body"]))
    request.context["timestamp"] = call["headers"].get("x-amz-date", "")
    auth = SigV4Auth(Credentials("unused", call["secret"]), service, region)
    canonical = auth.canonical_request(request)
    return auth.signature(auth.string_to_sign(request, canonical), request)


for line in sys.stdin:
    call = json.loads(line)
    print(json.dumps({"id": call["id"], "signature": signature(call)}), flush=True)
