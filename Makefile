# make demo   stylise a real photo with a real painting
# make test   the whole test suite
# Both first make .venv and install what is needed. Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
READY = $(VENV)/.ready

FACE ?= docs/images/astronaut.png
STYLE ?= docs/images/art_crimson_oil.jpg
INDICATOR ?= 3
OUT ?= out/demo.png

.PHONY: demo test
# With many threads the 32-pixel models of the tests wait for each other.
test: export OMP_NUM_THREADS ?= 2

demo: $(READY)
	$(RUN) -m blendgan_core stylize --face $(FACE) --style $(STYLE) --indicator $(INDICATOR) --out $(OUT)

test: $(READY)
	$(RUN) -m pytest -q

$(READY): requirements.txt Makefile
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10))" || \
		{ echo "error: '$(PYTHON)' is not a Python from 3.10 on; name one: make PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -r requirements.txt "pytest>=8" "scikit-learn>=1.2"
	@touch $@
