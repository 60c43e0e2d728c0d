"""Objects: what is on the work plane, where, and what it is called.

Sources (:mod:`.sources`) find objects in single pictures, :mod:`.merging` joins what they saw,
:mod:`.gallery` and :mod:`.colours` name it, :mod:`.tracker` keeps its identity, :mod:`.node`
publishes the scene.

    from deixis.nodes.objects.node import ObjectsNode
"""
