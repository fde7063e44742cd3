# thrift has no types.
# pyright: reportUnknownMemberType=false
"""Sends spans as old clients do: Jaeger's compact Thrift over UDP, and Zipkin's JSON over HTTP."""

import secrets
import socket
import time

import httpx
from thrift.protocol import TCompactProtocol
from thrift.Thrift import TMessageType, TType
from thrift.transport import TTransport


def jaeger_udp(port: int, service: str, operation: str) -> str:
    """Send one span in an `emitBatch` message to the agent's old port; return its trace id in hex."""
    low, span = secrets.randbits(62), secrets.randbits(62)
    buffer = TTransport.TMemoryBuffer()
    out = TCompactProtocol.TCompactProtocol(buffer)
    out.writeMessageBegin("emitBatch", TMessageType.ONEWAY, 0)
    out.writeStructBegin("emitBatch_args")
    out.writeFieldBegin("batch", TType.STRUCT, 1)
    out.writeStructBegin("Batch")
    out.writeFieldBegin("process", TType.STRUCT, 1)
    out.writeStructBegin("Process")
    out.writeFieldBegin("serviceName", TType.STRING, 1)
    out.writeString(service)
    out.writeFieldEnd()
    out.writeFieldStop()
    out.writeStructEnd()
    out.writeFieldEnd()
    out.writeFieldBegin("spans", TType.LIST, 2)
    out.writeListBegin(TType.STRUCT, 1)
    out.writeStructBegin("Span")
    for name, number, value in (
        ("traceIdLow", 1, low),
        ("traceIdHigh", 2, 0),
        ("spanId", 3, span),
        ("parentSpanId", 4, 0),
    ):
        out.writeFieldBegin(name, TType.I64, number)
        out.writeI64(value)
        out.writeFieldEnd()
    out.writeFieldBegin("operationName", TType.STRING, 5)
    out.writeString(operation)
    out.writeFieldEnd()
    out.writeFieldBegin("flags", TType.I32, 7)
    out.writeI32(1)
    out.writeFieldEnd()
    for name, number, value in (("startTime", 8, int(time.time() * 1e6)), ("duration", 9, 12000)):
        out.writeFieldBegin(name, TType.I64, number)
        out.writeI64(value)
        out.writeFieldEnd()
    out.writeFieldStop()
    out.writeStructEnd()
    out.writeListEnd()
    out.writeFieldEnd()
    out.writeFieldStop()
    out.writeStructEnd()
    out.writeFieldEnd()
    out.writeFieldStop()
    out.writeStructEnd()
    out.writeMessageEnd()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.sendto(buffer.getvalue(), ("127.0.0.1", port))
    return f"{low:032x}"


def zipkin_http(url: str, service: str, operation: str) -> str:
    """Send one span to Zipkin's endpoint; return its trace id in hex."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    span = {
        "traceId": trace_id,
        "id": span_id,
        "name": operation,
        "timestamp": int(time.time() * 1e6),
        "duration": 12000,
        "localEndpoint": {"serviceName": service},
    }
    httpx.post(f"{url}/api/v2/spans", json=[span], timeout=5).raise_for_status()
    return trace_id
