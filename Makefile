# Everything starts here: `make demo` and `make test` do the set-up they need.
SHELL := bash
ENV := source scripts/env.sh

.PHONY: setup demo finetune-demo gate-study clean-run faults fuzz mutants test test-slow lint clean

setup:  ## .venv with ROS, our messages and all dependencies
	@scripts/setup

demo: setup  ## the simulated arm plans with the world model; pictures in demo_output/
	@$(ENV) && scripts/demo --output demo_output

finetune-demo: setup  ## from 5, 10 and 20 demonstrations of an unseen robot to models that plan for it
	@$(ENV) && scripts/finetune_demo --output finetune_output

gate-study: setup  ## what the gate buys: the same episodes with it on and off, about 10 minutes
	@$(ENV) && scripts/gate_study --output gate_study_output

clean-run: setup  ## half an hour in which nothing is wrong: false stops, memory, files, threads
	@$(ENV) && scripts/clean_run --output clean_run_output

faults: setup  ## thousands of faults against the gate, in simulated time and on the running system
	@$(ENV) && scripts/whale faults --output fault_output

fuzz: setup  ## the gate and every parser under bytes made up, guided by coverage; half an hour
	@$(ENV) && python -m fuzz --seconds 60 --output fuzz_output

mutants: setup  ## does a test notice every change of the gate? goes on where it was stopped; an hour
	@$(ENV) && mutmut run && mutmut results --all true \
	  | sed -nE 's/^ *whale_ros\.gate\.(\w+)\..*: (.*)$$/\1 \2/p' | sort | uniq -c

test: lint  ## lint and every test but the slow ones
	@$(ENV) && python -m pytest -m "not slow and not ros" -n 2 --dist loadfile
	@# Processes in real time, which wait more than they work; on a busy machine a test may need a second
	@# try, but for an unsafe command there is none.
	@$(ENV) && python -m pytest -m "not slow and ros" -n 2 --dist loadfile --reruns 1 --rerun-except UnsafeCommand

test-slow: setup
	@$(ENV) && python -m pytest -m slow

lint: setup
	@$(ENV) && python -m ruff check && python -m ruff format --check && python -m mypy

clean:
	rm -rf .venv demo_output finetune_output gate_study_output clean_run_output fault_output fuzz_output mutants *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
