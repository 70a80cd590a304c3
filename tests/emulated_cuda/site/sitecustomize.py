"""Installs the emulated device in child processes.

Python imports this module when it starts, if this directory is on PYTHONPATH: `install()` puts it there.
"""

import importlib.util
import os
import sys

name = "tests.emulated_cuda"
if os.environ.get("EMULATED_CUDA") == "1" and name not in sys.modules:
    # by its place, since any package could be called "tests" where the process runs
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    spec = importlib.util.spec_from_file_location(name, os.path.join(here, "__init__.py"), submodule_search_locations=[here])
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    package.install()
