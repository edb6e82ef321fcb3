"""The local deployment that breaks: model servers, their host, load, faults and the judge.

Everything here is real (processes, a proxy, requests) except the device time, which is slept; the
controller runs as its own process and is told nothing about the faults.
"""
