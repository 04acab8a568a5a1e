from django.urls import path
from pages import views

urlpatterns = [path("", views.home, name="home"), path("old/", views.old), path("who/", views.who, name="who")]
