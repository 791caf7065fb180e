"""The options of all modules, for their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """How a node is reached."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of the node, such as V(https://gate.example.com).
      - Without it the environment variable E(DOORWARD_URL) counts, where the module runs.
    type: str
    required: true
  user:
    description: Account to log in as.
    type: str
    default: admin
  password:
    description:
      - Password of the account. Either this or O(token) is needed; where both are given, it is this one that counts.
      - Without it the environment variable E(DOORWARD_PASSWORD) counts, where the module runs.
    type: str
  token:
    description:
      - Token that stands for a login.
      - Without it the environment variable E(DOORWARD_TOKEN) counts, where the module runs.
    type: str
  ca:
    description:
      - File with the authority of the node, in PEM (C(tls/ca.pem) in its state directory), where the module runs.
      - Without O(ca) and O(pin) the authorities of the system are trusted.
    type: path
  pin:
    description: Digest of the public key of the node, C(sha256//BASE64), as C(doorward status) shows it.
    type: str
  server_name:
    description: Name that the certificate of the node has to be for, if not that of O(url).
    type: str
  timeout:
    description: Seconds that an answer is waited for.
    type: float
    default: 60
requirements:
  - doorward, in the Python that runs the module (R(ansible_python_interpreter, interpreter_discovery))
attributes:
  check_mode:
    description: Can run without changing anything.
    support: full
"""
