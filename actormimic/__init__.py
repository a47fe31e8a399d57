"""Actor-Mimic (Parisotto, Ba, Salakhutdinov, ICLR 2016): one policy network for many Atari games.

The submodules are the public surface; importing this package alone loads neither torch nor the
compiled core. ``actormimic.envs`` and ``actormimic.replay`` never import torch.
"""

from pkgutil import extend_path

__version__ = "0.1.0"

# A checkout's own ``actormimic`` folder shadows the installed package under ``python -m ...``; with
# the search path extended, the compiled modules of the installed one are found all the same.
__path__ = extend_path(__path__, __name__)
