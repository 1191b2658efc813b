# Source this (bash or zsh) to use what `make setup` built: `source scripts/env.sh`.
# The checkout comes before the installed copy, so edits to Python code count at once.

_root="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)"
_install="$_root/.venv/colcon/install"

if [ -z "${ROS_DISTRO:-}" ]; then # ROS from wheels: the venv is the ROS prefix
  export AMENT_PREFIX_PATH="$_root/.venv"
  export CMAKE_PREFIX_PATH="$_root/.venv"
  export LD_LIBRARY_PATH="$_root/.venv/lib$(printf ':%s' "$_root"/.venv/lib/python3*/site-packages/ros_*.libs)"
  export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1 # else each Python would restart itself with that path
  unset PYTHONPATH
fi
. "$_root/.venv/bin/activate"
if [ -f "$_install/local_setup.sh" ]; then
  COLCON_CURRENT_PREFIX="$_install" . "$_install/local_setup.sh"
fi
export PYTHONPATH="$_root${PYTHONPATH:+:$PYTHONPATH}"
export MUJOCO_GL="${MUJOCO_GL:-egl}" # off-screen, with or without a GPU
unset _root _install
