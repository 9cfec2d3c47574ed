"""One run: what is measured, of whom, where, and what came of it.

runner             one run: services × scenarios × rounds; progress shows it
attempt            one of them, once: start, probe, check, warm up, measure, end
scenarios          what is measured, by name
services           the service and its peers: how each is started and found ready
builds, probe      which build of the service other programs run, and whether it is ready
processes          a process of ours: its cores, its output, its end
accounting         what a tree of processes used of CPU and memory (/proc)
machine            which machine it is
figures, results   what was measured, as values and as JSON
starts             CPU time of short commands, a program of its own
"""
