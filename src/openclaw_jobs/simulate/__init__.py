"""The marketplace as a simulation: thousands of workers, honest and not, over production's rules.

Nothing here touches a database or a clock. `market.Simulation` lives a marketplace tick by tick;
`vector` is the scalar rules on whole columns of workers, and a test holds the two together.
Needs numpy (the extra `simulate`).
"""
