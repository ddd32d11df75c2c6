"""The shop's Postlude, in a module of its own, so that tasks need not import the application."""

from demo.visitors import visitor
from postlude import Postlude

postlude = Postlude(owner=visitor)
